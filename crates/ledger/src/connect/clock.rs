use std::time::SystemTime;
use tokio::time::Instant;

/// What the database's clock says, learnt when the session was opened: right to half of that round
/// trip, and to what both clocks have drifted since.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The database's `clock_timestamp()`.
    database: SystemTime,
    /// The moment here at which it was that.
    here: Instant,
}

impl Clock {
    /// Halfway between the question and its answer.
    pub(super) fn new(database: SystemTime, asked: Instant, answered: Instant) -> Self {
        Self { database, here: asked + (answered - asked) / 2 }
    }

    /// What the database's clock says at a moment, past or to come.
    pub fn at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.here) {
            Some(since) => self.database + since,
            None => self.database - (self.here - instant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_measured_from_the_middle_of_the_round_trip() {
        let second = Duration::from_secs(1);
        let (database, asked) = (SystemTime::UNIX_EPOCH + 1000 * second, Instant::now());
        let clock = Clock::new(database, asked, asked + 2 * second);
        assert_eq!(clock.at(asked + second), database);
        assert_eq!(clock.at(asked + 4 * second), database + 3 * second);
        assert_eq!(clock.at(asked), database - second);
    }
}
