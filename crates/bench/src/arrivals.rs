//! The open loop: arrivals become due by the clock, and idle connections take them in order.
//!
//! What is due and not taken is a number, not a queue: the schedule is computed twice from the
//! same seed, once to know when the next arrival is due and once to know when the one that is
//! taken was. The first runs in a thread, because a timer of the runtime is 1 ms late on average.

use std::iter::Peekable;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::schedule::Schedule;

/// What becomes due within this time is released together, late by no more than that.
const RESOLUTION: Duration = Duration::from_micros(200);
/// How soon the thread sees that a run is over.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The arrivals of a run.
#[derive(Debug)]
pub(crate) struct Arrivals {
    start: Instant,
    /// A permit for each arrival that is due and not taken.
    due: Semaphore,
    /// Begins with the first that is not taken.
    left: Mutex<Schedule>,
    largest_backlog: AtomicUsize,
    /// When arrivals were last released, in nanoseconds since the start.
    released: AtomicU64,
}

impl Arrivals {
    /// Arrivals that become due from now on, when a [`Pacer`] releases them.
    pub(crate) fn new(schedule: Schedule) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            due: Semaphore::new(0),
            left: Mutex::new(schedule),
            largest_backlog: AtomicUsize::new(0),
            released: AtomicU64::new(0),
        })
    }

    /// Releases the arrivals of `schedule` from a thread of their own.
    pub(crate) fn start(schedule: Schedule) -> io::Result<Arc<Self>> {
        let arrivals = Self::new(schedule.clone());
        let mut pacer = Pacer::new(&arrivals, schedule);
        thread::Builder::new().name("arrivals".into()).spawn(move || {
            while let Some(pause) = pacer.release(Instant::now()) {
                thread::sleep(pause);
            }
        })?;
        Ok(arrivals)
    }

    /// Waits for the next arrival and says when it was intended. Nothing once they have ended.
    pub(crate) async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.next().map(|since| self.start + since)
    }

    /// Ends the arrivals, also for those who wait for one.
    pub(crate) fn end(&self) {
        self.due.close();
    }

    /// Arrivals that are due and not taken, at this moment.
    pub(crate) fn backlog(&self) -> usize {
        self.due.available_permits()
    }

    /// The most of them since the last call.
    pub(crate) fn largest_backlog(&self) -> usize {
        self.largest_backlog.swap(0, Ordering::Relaxed)
    }

    /// The intended starts before `end` that were released and that nobody has taken, in order.
    /// What became due in the moment since the last release is not late; should the thread have
    /// been stuck, more than a moment ago, it is.
    pub(crate) fn not_taken(&self, end: Instant) -> impl Iterator<Item = Instant> + use<> {
        let released = Duration::from_nanos(self.released.load(Ordering::Relaxed));
        let end = (self.start + released).max(end - LONGEST_SLEEP).min(end);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let start = self.start;
        left.map(move |since| start + since).take_while(move |intended| *intended <= end)
    }
}

/// Releases arrivals when they are due.
pub(crate) struct Pacer {
    arrivals: Weak<Arrivals>,
    start: Instant,
    schedule: Peekable<Schedule>,
}

impl Pacer {
    pub(crate) fn new(arrivals: &Arc<Arrivals>, schedule: Schedule) -> Self {
        let start = arrivals.start;
        Self { arrivals: Arc::downgrade(arrivals), start, schedule: schedule.peekable() }
    }

    /// Releases what is due, and says when to come again. Nothing once the arrivals have ended or
    /// nobody is left to take them.
    pub(crate) fn release(&mut self, now: Instant) -> Option<Duration> {
        let arrivals = self.arrivals.upgrade().filter(|arrivals| !arrivals.due.is_closed())?;
        let passed = now.saturating_duration_since(self.start);
        let mut due = 0;
        while self.schedule.next_if(|since| *since <= passed).is_some() {
            due += 1;
        }
        arrivals.due.add_permits(due);
        arrivals.released.store(passed.as_nanos() as u64, Ordering::Relaxed);
        arrivals.largest_backlog.fetch_max(arrivals.backlog(), Ordering::Relaxed);
        let next = self.schedule.peek().map_or(LONGEST_SLEEP, |since| *since - passed);
        Some(next.clamp(RESOLUTION, LONGEST_SLEEP))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;
    use crate::workload::{Arrivals as Spacing, OpenLoop};

    fn started(rate: f64) -> Arc<Arrivals> {
        let open_loop = OpenLoop { rate, arrivals: Spacing::Constant };
        let arrivals = Arrivals::new(Schedule::new(open_loop, 1));
        let mut pacer = Pacer::new(&arrivals, Schedule::new(open_loop, 1));
        tokio::spawn(async move {
            while let Some(pause) = pacer.release(Instant::now()) {
                sleep(pause).await;
            }
        });
        arrivals
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_server_that_stalls_is_counted_from_the_intended_start() {
        let arrivals = started(1000.0);
        let second = Duration::from_secs(1);
        let (began, latencies) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let mut connections = JoinSet::new();
        for _ in 0..4 {
            let (arrivals, latencies) = (Arc::clone(&arrivals), Arc::clone(&latencies));
            connections.spawn(async move {
                while let Some(intended) = arrivals.next().await {
                    // Answers take 1 ms, except that none is given during the second second.
                    sleep(Duration::from_millis(1)).await;
                    let passed = began.elapsed();
                    if (second..second * 2).contains(&passed) {
                        sleep(second * 2 - passed).await;
                    }
                    latencies.lock().expect("not poisoned").push(intended.elapsed());
                }
            });
        }
        sleep(second * 10).await;
        assert!((995..=1005).contains(&arrivals.largest_backlog()));
        arrivals.end();
        connections.join_all().await;

        let mut latencies = latencies.lock().expect("not poisoned").clone();
        assert!((9990..=10_000).contains(&latencies.len()), "{}", latencies.len());
        latencies.sort();
        let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
        // The arrival at the beginning of the stall waited for a second; four connections that
        // catch up at 4,000 a second serve the one in its middle 0.625 s after it was due. A
        // closed loop would have seen four slow answers in ten thousand, beyond its p99.9.
        assert!(at(0.5) < Duration::from_millis(5), "{:?}", at(0.5));
        assert!((620..640).contains(&at(0.95).as_millis()), "{:?}", at(0.95));
        assert!((915..935).contains(&at(0.99).as_millis()), "{:?}", at(0.99));
        assert_eq!(arrivals.backlog(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_took_is_known_at_the_end() {
        let arrivals = started(100.0);
        sleep(Duration::from_millis(1005)).await;
        let first = arrivals.next().await.expect("due");
        assert_eq!(first.elapsed(), Duration::from_millis(995));
        assert_eq!(arrivals.backlog(), 99);
        let end = Instant::now();
        arrivals.end();
        assert!(arrivals.next().await.is_none());
        let waited: Vec<_> = arrivals.not_taken(end).map(|intended| end - intended).collect();
        assert_eq!(waited.len(), 99);
        assert_eq!(waited[0], Duration::from_millis(985));
    }

    #[test]
    fn the_thread_ends_with_the_arrivals() {
        let open_loop = OpenLoop { rate: 1e5, arrivals: Spacing::Poisson };
        let arrivals = Arrivals::start(Schedule::new(open_loop, 1)).expect("a thread");
        let mut pacer = Pacer::new(&arrivals, Schedule::new(open_loop, 1));
        assert!(pacer.release(Instant::now()).is_some());
        arrivals.end();
        assert!(pacer.release(Instant::now()).is_none());
        let dropped = Arrivals::new(Schedule::new(open_loop, 1));
        let mut pacer = Pacer::new(&dropped, Schedule::new(open_loop, 1));
        drop(dropped);
        assert!(pacer.release(Instant::now()).is_none(), "nobody is left");
    }
}
