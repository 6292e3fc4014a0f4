//! What all connections of a run look at, and where they say how far they are.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use crate::arrivals::Arrivals;
use crate::books::Books;
use crate::recorder::{Kind, Recorder};

// The phases of a run; the warm-up is 0, the value a run begins with.
const MEASURED: u8 = 1;
const OVER: u8 = 2;

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Control {
    phase: AtomicU8,
    began: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    applied: AtomicU64,
    pub(crate) books: Books,
    pub(crate) recorder: Recorder,
    /// Those of an open loop.
    pub(crate) arrivals: Option<Arc<Arrivals>>,
}

/// When to send the next request.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// At once; its time counts from then.
    Now,
    /// At once; its time counts from this moment, which has passed.
    Intended(Instant),
}

impl Control {
    pub(crate) fn new(accounts: u32, arrivals: Option<Arc<Arrivals>>) -> Self {
        Self {
            phase: AtomicU8::default(),
            began: OnceLock::new(),
            ended: OnceLock::new(),
            applied: AtomicU64::default(),
            books: Books::new(accounts),
            recorder: Recorder::new(),
            arrivals,
        }
    }

    /// Begins the measured window.
    pub(crate) fn measure(&self) {
        if let Some(arrivals) = &self.arrivals {
            arrivals.largest_backlog();
        }
        self.began.get_or_init(Instant::now);
        self.phase.store(MEASURED, Ordering::Relaxed);
    }

    /// Ends the measured window. Requests under way are still waited for.
    pub(crate) fn stop(&self) {
        self.phase.store(OVER, Ordering::Relaxed);
        self.ended.get_or_init(Instant::now);
        if let Some(arrivals) = &self.arrivals {
            arrivals.end();
        }
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == MEASURED
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == OVER
    }

    /// Counts transfers that were applied.
    pub(crate) fn add_applied(&self, transfers: u64) {
        self.applied.fetch_add(transfers, Ordering::Relaxed);
    }

    /// Transfers applied so far, warm-up included.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Waits until the next request is to be sent. Nothing when the run is over.
    pub(crate) async fn next(&self) -> Option<Start> {
        match &self.arrivals {
            Some(arrivals) => arrivals.next().await.map(Start::Intended),
            None if self.is_over() => None,
            None => Some(Start::Now),
        }
    }

    /// Records an answer. In a closed loop it counts when it came in the measured window, in an
    /// open loop when it was due there: what comes late would otherwise not count.
    pub(crate) fn record(&self, kind: Kind, started: Instant) {
        let counts = match &self.arrivals {
            Some(_) => self.was_due_in_window(started),
            None => self.is_measured() && kind != Kind::Unanswered,
        };
        if counts {
            self.recorder.record(kind, started.elapsed());
        }
    }

    fn was_due_in_window(&self, intended: Instant) -> bool {
        self.began.get().is_some_and(|began| intended >= *began)
    }

    /// Records the arrivals of an open loop that were due and never sent, each with the time that
    /// it had waited at the end. To be called once, when all connections have ended.
    pub(crate) fn record_not_sent(&self) -> NotSent {
        let mut not_sent = NotSent::default();
        let (Some(arrivals), Some(ended)) = (&self.arrivals, self.ended.get()) else {
            return not_sent;
        };
        not_sent.largest_backlog = arrivals.largest_backlog();
        for intended in arrivals.not_taken(*ended) {
            let waited = *ended - intended;
            if not_sent.count == 0 {
                not_sent.behind_seconds = waited.as_secs_f64();
            }
            not_sent.count += 1;
            if self.was_due_in_window(intended) {
                self.recorder.record(Kind::Unanswered, waited);
            }
        }
        not_sent
    }
}

/// The arrivals of an open loop that were due by the end and never sent.
#[derive(Debug, Default)]
pub(crate) struct NotSent {
    pub(crate) count: u64,
    /// How long the first had waited at the end.
    pub(crate) behind_seconds: f64,
    /// The most that were due and not sent at a moment of the measured window.
    pub(crate) largest_backlog: usize,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::arrivals::Pacer;
    use crate::schedule::Schedule;
    use crate::workload::{Arrivals as Spacing, OpenLoop};

    #[tokio::test(start_paused = true)]
    async fn what_was_due_and_never_sent_counts_with_the_time_it_waited() {
        let open_loop = OpenLoop { rate: 100.0, arrivals: Spacing::Constant };
        let arrivals = Arrivals::new(Schedule::new(open_loop, 1));
        let mut pacer = Pacer::new(&arrivals, Schedule::new(open_loop, 1));
        let control = Control::new(1, Some(arrivals));
        sleep(Duration::from_millis(1005)).await;
        control.measure();
        sleep(Duration::from_secs(1)).await;
        pacer.release(Instant::now()).expect("not ended");
        control.stop();
        sleep(Duration::from_secs(1)).await;

        let NotSent { count, behind_seconds, largest_backlog } = control.record_not_sent();
        assert_eq!((count, largest_backlog), (200, 200));
        assert_eq!(behind_seconds, 1.995);
        let latencies = control.recorder.take();
        let (kind, latencies) = latencies.kinds().next().expect("some");
        assert_eq!((kind, latencies.len()), (Kind::Unanswered, 100), "those of the window");
        assert!((990_000..1_000_000).contains(&latencies.max()), "{}", latencies.max());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_counts_what_is_answered_in_the_window() {
        let control = Control::new(1, None);
        let sent = Instant::now();
        control.record(Kind::Single, sent);
        control.measure();
        sleep(Duration::from_millis(7)).await;
        control.record(Kind::Single, sent);
        control.stop();
        control.record(Kind::Single, sent);
        let latencies = control.recorder.take().all();
        assert_eq!((latencies.len(), latencies.max()), (1, 7003));
        assert!(control.next().await.is_none());
    }
}
