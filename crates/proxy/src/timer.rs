//! Wakes at a moment, to within some ten microseconds: the runtime's own timer knows only milliseconds,
//! and a network of one millisecond would be one of three.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;
use tokio::sync::oneshot;

/// One thread for the process; it sleeps while nothing is due.
static TIMER: LazyLock<&Timer> = LazyLock::new(|| {
    let timer: &Timer = Box::leak(Box::default());
    let thread = thread::Builder::new().name("network delay".into());
    thread.spawn(|| timer.run()).expect("a thread");
    timer
});

/// Waits until this moment.
pub(super) async fn until(due: Instant) {
    if due <= Instant::now() {
        return;
    }
    let (wake, woken) = oneshot::channel();
    TIMER.set(Alarm { due, wake });
    // No error: the thread does not end.
    let _ = woken.await;
}

#[derive(Default)]
struct Timer {
    alarms: Mutex<BinaryHeap<Alarm>>,
    sooner: Condvar,
}

/// The earliest is the greatest.
struct Alarm {
    due: Instant,
    wake: oneshot::Sender<()>,
}

impl Timer {
    fn set(&self, alarm: Alarm) {
        let mut alarms = self.alarms();
        let sooner = alarms.peek().is_none_or(|first| alarm.due < first.due);
        alarms.push(alarm);
        if sooner {
            self.sooner.notify_one();
        }
    }

    fn run(&self) {
        let mut alarms = self.alarms();
        loop {
            let now = Instant::now();
            while let Some(alarm) = alarms.pop_if_due(now) {
                // An error: nobody waits for it any more.
                let _ = alarm.wake.send(());
            }
            alarms = match alarms.peek().map(|first| first.due - now) {
                Some(time) => {
                    self.sooner.wait_timeout(alarms, time).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.sooner.wait(alarms).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn alarms(&self) -> MutexGuard<'_, BinaryHeap<Alarm>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

trait PopIfDue {
    fn pop_if_due(&mut self, now: Instant) -> Option<Alarm>;
}

impl PopIfDue for BinaryHeap<Alarm> {
    fn pop_if_due(&mut self, now: Instant) -> Option<Alarm> {
        if self.peek()?.due > now {
            return None;
        }
        self.pop()
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Alarm {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn whoever_waits_is_woken_in_order_and_never_early() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let order = Mutex::new(Vec::new());
        let wait = async |ms| {
            until(at(ms)).await;
            assert!(Instant::now() >= at(ms), "too early");
            order.lock().unwrap().push(ms);
        };
        // The second is due sooner than the one that the thread sleeps for.
        tokio::join!(wait(40), wait(20), wait(0));
        assert_eq!(*order.lock().unwrap(), [0, 20, 40]);
    }
}
