//! What the database's own state allows: looked at every second, before it shows in the batches.

use super::horizon::Horizon;
use crate::metrics::Metrics;
use giro_batcher::Pressure;
use giro_ledger::{Load, ReadLoad, Readers};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_secs(1);

/// A look that takes longer says nothing: batches and breaker will.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks that fail before the last word is forgotten: they share their sessions with reads, and a slow
/// read says nothing of commits.
const FAILURES_MAX: u32 = 3;

/// Tells the batchers, forever.
pub(super) async fn watch(
    readers: Readers,
    lanes: usize,
    metrics: Metrics,
    tell: impl Fn(Pressure) + Send,
) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut word, mut horizon) = (Word::default(), Horizon::default());
    loop {
        tick.tick().await;
        let load = readers.read(&ReadLoad, Instant::now() + PATIENCE).await;
        let pressure = word.after(load.as_ref().ok().map(|load| judge(load, lanes)));
        tell(pressure);
        if let Ok(load) = &load {
            metrics.horizon(horizon.age(Instant::now().into_std(), load));
        }
        metrics.database(load.ok().as_ref(), pressure);
    }
}

/// The last word, and the looks that have failed since.
#[derive(Default)]
struct Word {
    last: Option<Pressure>,
    failures: u32,
}

impl Word {
    /// What holds after a look, or after one that failed.
    fn after(&mut self, look: Option<Pressure>) -> Pressure {
        self.failures = if look.is_some() { 0 } else { self.failures.saturating_add(1) };
        self.last = look.or(self.last.filter(|_| self.failures <= FAILURES_MAX));
        self.last.unwrap_or(Pressure::Accept)
    }
}

/// A standby that all lanes wait for takes nothing on; a lock that all lanes wait for, or a database
/// without a session to spare for the next reconnect, takes half.
fn judge(load: &Load, lanes: usize) -> Pressure {
    let all = |waits: i64| usize::try_from(waits).is_ok_and(|waits| waits >= lanes);
    if all(load.standby_waits) {
        Pressure::Reject
    } else if all(load.lock_waits) || load.connections >= load.connections_max {
        Pressure::Throttle
    } else {
        Pressure::Accept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_lanes_wait_for_decides() {
        let calm = Load {
            lock_waits: 0,
            standby_waits: 0,
            connections: 9,
            connections_max: 10,
            next_transaction: 0,
            horizon_age: 0,
        };
        assert_eq!(judge(&calm, 2), Pressure::Accept);
        assert_eq!(judge(&Load { lock_waits: 1, ..calm }, 2), Pressure::Accept);
        assert_eq!(judge(&Load { lock_waits: 2, ..calm }, 2), Pressure::Throttle);
        assert_eq!(judge(&Load { connections: 10, ..calm }, 2), Pressure::Throttle);
        assert_eq!(judge(&Load { standby_waits: 2, lock_waits: 2, ..calm }, 2), Pressure::Reject);
    }

    #[test]
    fn the_last_word_holds_for_three_failed_looks() {
        use Pressure::{Accept, Reject, Throttle};
        let mut word = Word::default();
        assert_eq!(word.after(None), Accept);
        assert_eq!(word.after(Some(Reject)), Reject);
        assert_eq!([(); 5].map(|()| word.after(None)), [Reject, Reject, Reject, Accept, Accept]);
        assert_eq!(word.after(Some(Throttle)), Throttle);
        assert_eq!([(); 3].map(|()| word.after(None)), [Throttle; 3]);
        assert_eq!(word.after(Some(Throttle)), Throttle);
        assert_eq!([(); 4].map(|()| word.after(None)), [Throttle, Throttle, Throttle, Accept]);
    }
}
