//! The result of a run.
//!
//! - `run`: what was run, and how well its schedule was kept. `latency`: how long requests took.
//!   `database_work`: what PostgreSQL did.

mod database_work;
mod latency;
mod run;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::control::NotSent;
use crate::cpu::{self, Measured};
use crate::database::Settings;
use crate::money::Money;
use crate::outcome::Outcomes;
use crate::recorder::Latencies;
use crate::samples::Sample;
use crate::tally::{Reads, Tally};
use crate::window::Window;
use crate::{BenchError, Options};

pub use self::database_work::DatabaseWork;
pub use self::latency::{KindLatency, LatencyMs};
pub use self::run::{Run, Schedule};

/// What a run found. `Display` is the table for people; it serialises as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The machine the generator ran on.
    pub machine: Machine,
    /// The settings of PostgreSQL, the same before and after the measured window.
    pub postgres: Settings,
    /// Whether none of `fsync`, `synchronous_commit` and `full_page_writes` is off.
    pub durable: bool,
    /// What was run.
    pub workload: Run,
    /// How well the schedule was kept; nothing in a closed loop.
    pub open_loop: Option<Schedule>,
    /// How much was done in the measured window.
    pub throughput: Throughput,
    /// How long requests took: in a closed loop those answered in the measured window, in an open
    /// loop those due in it.
    pub latency_ms: LatencyMs,
    /// The same by kind: `single`, `bulk` and `chain` of transfers, `read`, `refused` (answered,
    /// and nothing was done), and in an open loop `unanswered` (given up or never sent, with the
    /// time waited by then).
    pub latency_by_kind: BTreeMap<&'static str, KindLatency>,
    /// Transfers answered in the measured window, by outcome.
    pub outcomes: Outcomes,
    /// Reads answered in the measured window.
    pub reads: Reads,
    /// What went wrong in the whole run, warm-up included.
    pub trouble: Trouble,
    /// What PostgreSQL did in the measured window.
    pub database: DatabaseWork,
    /// CPU time of the server's lane backends for each applied transfer, in microseconds.
    pub backend_cpu_us_per_transfer: Measured,
    /// CPU time of this process in the measured window, in seconds.
    pub client_cpu_seconds: Measured,
    /// CPU time of the server's process in the measured window, in seconds.
    pub server_cpu_seconds: Measured,
    /// CPU time of the server's lane backends in the measured window, in seconds.
    pub lane_cpu_seconds: Measured,
    /// CPU time of all processes of PostgreSQL in the measured window, in seconds: the lanes, all
    /// other backends, writers, vacuums.
    pub database_cpu_seconds: Measured,
    /// The balances after the run against what was acknowledged.
    pub money: Money,
    /// What was seen of PostgreSQL every second of the measured window.
    pub samples: Vec<Sample>,
}

/// The machine the generator ran on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors this process may use.
    pub cores: usize,
    /// Model of the processor.
    pub cpu_model: String,
}

/// How much was done in the measured window.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// Applied transfers per second.
    pub transfers_per_second: f64,
    /// Answered requests per second, reads among them.
    pub requests_per_second: f64,
    /// Answered reads per second.
    pub reads_per_second: f64,
}

/// What went wrong in the whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// Answers without the outcomes they should have.
    pub unreadable_answers: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Requests whose connection broke before the answer.
    pub broken_requests: u64,
    /// Connections opened again.
    pub reconnects: u64,
    /// Status and body of an answer that was not `applied`, if there was one.
    pub example: Option<String>,
}

/// What the load itself saw.
pub(crate) struct Load {
    pub(crate) tally: Tally,
    pub(crate) latencies: Latencies,
    pub(crate) not_sent: NotSent,
    pub(crate) money: Money,
}

impl Report {
    pub(crate) fn new(options: &Options, window: Window, load: Load) -> Result<Self, BenchError> {
        let (before, after) = (&window.before, &window.after);
        let postgres = after.database.settings.clone();
        if before.database.settings != postgres {
            return Err(BenchError::SettingsChanged {
                before: before.database.settings.to_string(),
                after: postgres.to_string(),
            });
        }
        let Load { tally, latencies, not_sent, money } = load;
        let trouble = Trouble::new(&tally);
        if tally.outcomes.applied == 0 {
            return Err(BenchError::NothingApplied(trouble.to_string()));
        }
        let applied = tally.outcomes.applied as f64;
        let seconds = window.length.as_secs_f64();
        let lane_seconds = before.database.lane_seconds_until(&after.database);
        let requests_per_second = tally.requests as f64 / seconds;
        let schedule = |offered| Schedule::new(offered, requests_per_second, &not_sent);
        Ok(Self {
            machine: Machine::this(),
            durable: postgres.not_durable().is_empty(),
            postgres,
            workload: Run::new(options, seconds),
            open_loop: options.open_loop.map(schedule),
            throughput: Throughput {
                transfers_per_second: applied / seconds,
                requests_per_second,
                reads_per_second: tally.reads.answered as f64 / seconds,
            },
            latency_ms: LatencyMs::new(&latencies.all()),
            latency_by_kind: KindLatency::by_kind(&latencies),
            outcomes: tally.outcomes,
            reads: tally.reads,
            trouble,
            database: DatabaseWork::new(&window, applied),
            backend_cpu_us_per_transfer: lane_seconds.clone().map(|s| s * 1e6 / applied).into(),
            client_cpu_seconds: difference(&before.client_seconds, &after.client_seconds),
            server_cpu_seconds: difference(&before.server_seconds, &after.server_seconds),
            lane_cpu_seconds: lane_seconds.into(),
            database_cpu_seconds: difference(
                &before.database.all_seconds,
                &after.database.all_seconds,
            ),
            money,
            samples: window.sampled.samples,
        })
    }

    /// The report for people.
    #[must_use]
    pub fn table(&self) -> String {
        self.to_string()
    }

    /// The report for programs: one JSON object, indented.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only text keys")
    }
}

impl Machine {
    fn this() -> Self {
        let (cores, cpu_model) = cpu::machine();
        Self { cores, cpu_model }
    }
}

impl Trouble {
    fn new(tally: &Tally) -> Self {
        Self {
            unreadable_answers: tally.unreadable,
            timeouts: tally.timeouts,
            broken_requests: tally.broken,
            reconnects: tally.reconnects,
            example: tally.first_other.clone(),
        }
    }
}

fn difference(before: &Result<f64, String>, after: &Result<f64, String>) -> Measured {
    before.clone().and_then(|before| Ok(after.clone()? - before)).into()
}

#[cfg(test)]
pub(crate) mod tests;
