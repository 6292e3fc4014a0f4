//! How long rows have been kept that could be cleaned up: an ordinary role is not told since when a session
//! has had its snapshot, but which transaction is the first that the snapshot does not see as over.

use giro_ledger::Load;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are remembered: all of a quarter of an hour, then every second one of half an hour, and so on.
const LOOKS_MAX: usize = 1024;

/// When which transactions had begun, as far back as somebody may still need what they replaced.
#[derive(Default)]
pub(super) struct Horizon {
    /// When it was looked, and which transaction was the next.
    looks: VecDeque<(Instant, i64)>,
}

impl Horizon {
    /// For how long the first transaction whose replaced rows have to be kept has been there, at least: the
    /// time since the first look that found it begun.
    pub(super) fn age(&mut self, now: Instant, load: &Load) -> Duration {
        let (next, oldest) = (load.next_transaction, load.next_transaction - load.horizon_age);
        if self.looks.back().is_some_and(|(_, last)| next < *last) {
            self.looks.clear(); // another database
        }
        if self.looks.back().is_none_or(|(_, last)| next > *last) {
            self.remember(now, next);
        }
        // No snapshot to come needs what these looks saw replaced.
        while self.looks.front().is_some_and(|(_, next)| *next <= oldest) {
            self.looks.pop_front();
        }
        self.looks.front().map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }

    fn remember(&mut self, now: Instant, next: i64) {
        if self.looks.len() >= LOOKS_MAX {
            let mut keep = false;
            self.looks.retain(|_| {
                keep = !keep; // the first one always
                keep
            });
        }
        self.looks.push_back((now, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ages that follow from looks, one a second: each the next transaction and the oldest needed.
    fn ages(looks: &[(i64, i64)]) -> Vec<u64> {
        let (mut horizon, start) = (Horizon::default(), Instant::now());
        let look = |(second, (next, oldest)): (usize, &(i64, i64))| {
            let load = Load {
                lock_waits: 0,
                standby_waits: 0,
                connections: 0,
                connections_max: 0,
                next_transaction: *next,
                horizon_age: next - oldest,
            };
            horizon.age(start + Duration::from_secs(second as u64), &load).as_secs()
        };
        looks.iter().enumerate().map(look).collect()
    }

    #[test]
    fn it_grows_while_the_oldest_transaction_stays() {
        assert_eq!(ages(&[(10, 10), (20, 20), (30, 30)]), [0, 0, 0]);
        assert_eq!(ages(&[(10, 10), (20, 15), (30, 15), (40, 15), (50, 50)]), [0, 0, 1, 2, 0]);
    }

    #[test]
    fn the_next_oldest_has_its_own_age() {
        // One snapshot at 15, another at 35; the first ends.
        assert_eq!(ages(&[(20, 15), (30, 15), (40, 15), (50, 35), (60, 35)]), [0, 1, 2, 1, 2]);
    }

    #[test]
    fn nothing_is_old_while_nothing_is_replaced() {
        assert_eq!(ages(&[(10, 10), (10, 10), (10, 10), (11, 10), (11, 10)]), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn another_database_begins_anew() {
        assert_eq!(ages(&[(100, 90), (110, 90), (50, 50), (60, 50)]), [0, 1, 0, 0]);
    }

    #[test]
    fn a_snapshot_of_hours_takes_no_more_memory() {
        let (mut horizon, start) = (Horizon::default(), Instant::now());
        for second in 0..10_000 {
            let load = Load {
                lock_waits: 0,
                standby_waits: 0,
                connections: 0,
                connections_max: 0,
                next_transaction: second + 1,
                horizon_age: second + 1,
            };
            let age = horizon.age(start + Duration::from_secs(second as u64), &load);
            assert_eq!(age.as_secs(), second as u64);
            assert!(horizon.looks.len() <= LOOKS_MAX);
        }
    }
}
