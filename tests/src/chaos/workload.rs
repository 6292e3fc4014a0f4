//! Callers of a storm: requests come on a schedule, whatever became of those before, and every attempt is
//! written down.
//!
//! | file | holds |
//! | --- | --- |
//! | `zipf`, `accounts` | who has accounts, what limits them, and their shares of the traffic |
//! | `request`, `generator` | what is asked for, by seed |
//! | `memory` | what callers remember: recent ids, open holds, what nobody knows yet |
//! | `connection`, `contract` | how a request travels, and what a reply may say |
//! | `caller` | one at a time of them: takes what is due, asks, learns, writes down |
//! | `resolve` | afterwards: reads and resends whatever is still unknown |

mod accounts;
mod caller;
mod connection;
mod contract;
mod generator;
mod memory;
mod request;
mod resolve;
mod zipf;

pub use resolve::Resolved;

use super::Target;
use super::alarm::Alarm;
use super::recorder::Recorder;
use accounts::Accounts;
use caller::{Asking, caller};
use fastrand::Rng;
use generator::Generator;
use giro_checker::history::{Answer, Attempt};
use memory::Memory;
use request::Request;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// Independent of each other.
    Poisson,
    /// At equal distances.
    Fixed,
}

/// A load.
#[derive(Debug, Clone)]
pub(super) struct WorkloadPlan {
    /// Says what is asked for.
    pub(super) seed: u64,
    /// Servers that there are.
    pub(super) servers: usize,
    /// Requests a second.
    pub(super) rate: f64,
    /// When they come.
    pub(super) arrivals: Arrivals,
    /// Transfers of the largest bulk; at least two.
    pub(super) bulk_max: usize,
    /// Requests that may be in flight.
    pub(super) callers: u32,
    /// Accounts with most of the traffic.
    pub(super) hot: usize,
    /// The others.
    pub(super) cold: usize,
}

/// What could not be sent for so long is given up by its caller.
const PATIENCE: Duration = Duration::from_secs(1);

/// What all callers share.
pub(super) struct Shared {
    targets: watch::Receiver<Vec<Target>>,
    recorder: Recorder,
    alarm: Arc<Alarm>,
    memory: Mutex<Memory>,
    counts: Counts,
}

/// What callers have done so far.
#[derive(Default)]
struct Counts {
    in_flight: AtomicU64,
    decided: AtomicU64,
    unknown: AtomicU64,
    cut_off: AtomicU64,
    sent: AtomicU64,
    late: AtomicU64,
    repeats: AtomicU64,
    left: AtomicU64,
}

/// Callers at work.
pub(super) struct Workload {
    shared: Arc<Shared>,
    schedule: Arc<tokio::sync::Mutex<Schedule>>,
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
    seed: u64,
}

/// What a load has sent.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Sent {
    /// Requests.
    pub(super) requests: u64,
    /// Those of them whose ids had been sent before.
    pub(super) repeats: u64,
    /// Those of them whose callers left.
    pub(super) left: u64,
    /// Requests that were due and could not be sent in time.
    pub(super) late: u64,
}

impl Workload {
    /// Creates the accounts, gives them their first funds, and sets the callers to work.
    pub(super) async fn start(
        plan: &WorkloadPlan,
        targets: watch::Receiver<Vec<Target>>,
        recorder: Recorder,
        alarm: Arc<Alarm>,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            targets,
            recorder,
            alarm,
            memory: Mutex::default(),
            counts: Counts::default(),
        });
        let accounts = Accounts::new(plan.hot, plan.cold);
        caller::open_accounts(&shared, &accounts).await?;
        let schedule = Schedule {
            generator: Generator::new(plan),
            random: Rng::with_seed(plan.seed),
            twins: VecDeque::new(),
            due: Instant::now(),
            gap: Duration::from_secs_f64(1.0 / plan.rate),
            arrivals: plan.arrivals,
        };
        let schedule = Arc::new(tokio::sync::Mutex::new(schedule));
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for number in 1..=plan.callers {
            callers.spawn(caller(number, shared.clone(), schedule.clone(), stop.clone()));
        }
        Ok(Self { shared, schedule, stop, callers, seed: plan.seed })
    }

    /// Requests that were sent and are not answered.
    pub(super) fn in_flight(&self) -> u64 {
        self.shared.counts.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that have been applied or refused for good.
    pub(super) fn decided(&self) -> u64 {
        self.shared.counts.decided.load(Ordering::Relaxed)
    }

    /// Requests that a server has answered with "unknown".
    pub(super) fn unknown(&self) -> u64 {
        self.shared.counts.unknown.load(Ordering::Relaxed)
    }

    /// Requests whose callers waited and got no answer.
    pub(super) fn cut_off(&self) -> u64 {
        self.shared.counts.cut_off.load(Ordering::Relaxed)
    }

    /// What has been sent.
    pub(super) fn sent(&self) -> Sent {
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Sent {
            requests: read(&counts.sent),
            repeats: read(&counts.repeats),
            left: read(&counts.left),
            late: read(&counts.late),
        }
    }

    /// Sends nothing new, waits for the answers that are due, then resolves what nobody knows.
    pub(super) async fn resolve(mut self, limit: Duration) -> Result<Resolved, String> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.map_err(|error| format!("a caller: {error}"))?;
        }
        drop(self.schedule);
        resolve::resolve(&self.shared, self.seed, limit).await
    }
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an attempt down, and remembers what it says.
    async fn note(&self, asking: Asking, ret: u64, answer: Answer) {
        self.memory().learn(&asking.asked, &answer);
        let Asking { caller, server, inv, asked } = asking;
        self.recorder.note(Attempt { caller, server, inv, ret, asked, answer }).await;
    }
}

/// What is due, and when.
struct Schedule {
    generator: Generator,
    random: Rng,
    /// Due at once.
    twins: VecDeque<Request>,
    due: Instant,
    gap: Duration,
    arrivals: Arrivals,
}

impl Schedule {
    /// Waits for the next request to be due; when that was. Idle callers queue for the lock around
    /// this, so that one of them at a time has a timer.
    async fn next(&mut self, shared: &Shared) -> (Request, Instant) {
        if let Some(twin) = self.twins.pop_front() {
            return (twin, self.due);
        }
        self.due += match self.arrivals {
            Arrivals::Fixed => self.gap,
            Arrivals::Poisson => self.gap.mul_f64(-(1.0 - self.random.f64()).ln()),
        };
        // What is due already does not wait for the next tick of the timer.
        if self.due > Instant::now() {
            sleep_until(self.due).await;
        }
        let (request, twin) = self.generator.next(&mut shared.memory());
        self.twins.extend(twin);
        (request, self.due)
    }
}
