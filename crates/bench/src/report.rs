//! The result of a run.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cpu::{self, Measured};
use crate::database::Settings;
use crate::load::Tally;
use crate::money::Money;
use crate::outcome::Outcomes;
use crate::{BenchError, Options, Window};

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
    pub workload: Workload,
    /// How much was done in the measured window.
    pub throughput: Throughput,
    /// How long the answers of the measured window took, from sending the request.
    pub latency_ms: LatencyMs,
    /// Transfers answered in the measured window, by outcome.
    pub outcomes: Outcomes,
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
    /// The balances after the run against what was acknowledged.
    pub money: Money,
}

/// The machine the generator ran on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors this process may use.
    pub cores: usize,
    /// Model of the processor.
    pub cpu_model: String,
}

/// What was run.
#[derive(Debug, Clone, Serialize)]
pub struct Workload {
    /// How requests follow each other; `closed` is the only kind.
    pub arrival: &'static str,
    /// HTTP connections.
    pub connections: usize,
    /// Transfers in one request.
    pub transfers_per_request: usize,
    /// Accounts that are debited.
    pub hot_accounts: u64,
    /// Accounts that are credited.
    pub accounts: u64,
    /// The ledger.
    pub ledger: u32,
    /// The seed.
    pub seed: u64,
    /// Length of the warm-up, in seconds.
    pub warmup_seconds: f64,
    /// Length of the measured window, in seconds.
    pub measured_seconds: f64,
}

/// How much was done in the measured window.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// Applied transfers per second.
    pub transfers_per_second: f64,
    /// Answered requests per second.
    pub requests_per_second: f64,
}

/// Time from sending a request to the end of its answer, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct LatencyMs {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl LatencyMs {
    fn new(microseconds: &Histogram<u64>) -> Self {
        let at = |quantile| microseconds.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), p99_9: at(0.999), max: at(1.0) }
    }
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

/// What PostgreSQL did in the measured window, from counters that may lag by a second.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseWork {
    /// Transactions committed in the database, by whomever.
    pub commits: i64,
    /// Applied transfers for each commit.
    pub transfers_per_commit: Option<f64>,
    /// Bytes of write-ahead log of the whole cluster. Nothing before PostgreSQL 14.
    pub cluster_wal_bytes: Option<i64>,
    /// The same for each applied transfer.
    pub cluster_wal_bytes_per_transfer: Option<f64>,
    /// Deadlocks in the database.
    pub deadlocks: i64,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        window: &Window,
        tally: &Tally,
        money: Money,
    ) -> Result<Self, BenchError> {
        let (before, after) = (&window.before, &window.after);
        let postgres = after.database.settings.clone();
        if before.database.settings != postgres {
            return Err(BenchError::SettingsChanged {
                before: before.database.settings.to_string(),
                after: postgres.to_string(),
            });
        }
        let outcomes = tally.outcomes.clone();
        let trouble = Trouble::new(tally);
        if outcomes.applied == 0 {
            return Err(BenchError::NothingApplied(trouble.to_string()));
        }
        let applied = outcomes.applied as f64;
        let seconds = window.length.as_secs_f64();
        let lane_seconds = before.database.lane_seconds_until(&after.database);
        let (cores, cpu_model) = cpu::machine();
        Ok(Self {
            machine: Machine { cores, cpu_model },
            durable: postgres.not_durable().is_empty(),
            postgres,
            workload: Workload::new(options, seconds),
            throughput: Throughput {
                transfers_per_second: applied / seconds,
                requests_per_second: tally.requests as f64 / seconds,
            },
            latency_ms: LatencyMs::new(&tally.latency),
            outcomes,
            trouble,
            database: DatabaseWork::new(window, applied),
            backend_cpu_us_per_transfer: lane_seconds.map(|s| s * 1e6 / applied).into(),
            client_cpu_seconds: difference(&before.client_seconds, &after.client_seconds),
            server_cpu_seconds: difference(&before.server_seconds, &after.server_seconds),
            money,
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

impl Workload {
    fn new(options: &Options, measured_seconds: f64) -> Self {
        Self {
            arrival: "closed",
            connections: options.connections,
            transfers_per_request: options.transfers_per_request(),
            hot_accounts: options.hot_accounts,
            accounts: options.accounts,
            ledger: options.ledger,
            seed: options.seed,
            warmup_seconds: options.warmup.as_secs_f64(),
            measured_seconds,
        }
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

impl DatabaseWork {
    fn new(window: &Window, applied: f64) -> Self {
        let (before, after) = (&window.before.database, &window.after.database);
        let commits = after.commits - before.commits;
        let wal_bytes = after.wal_bytes.zip(before.wal_bytes).map(|(after, before)| after - before);
        Self {
            commits,
            transfers_per_commit: (commits > 0).then(|| applied / commits as f64),
            cluster_wal_bytes: wal_bytes,
            cluster_wal_bytes_per_transfer: wal_bytes.map(|bytes| bytes as f64 / applied),
            deadlocks: after.deadlocks - before.deadlocks,
        }
    }
}

fn difference(before: &Result<f64, String>, after: &Result<f64, String>) -> Measured {
    before.clone().and_then(|before| Ok(after.clone()? - before)).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::database::Snapshot;
    use crate::{Reading, load};

    pub(crate) fn settings() -> Settings {
        Settings {
            server_version: "17.2".into(),
            fsync: "on".into(),
            synchronous_commit: "on".into(),
            full_page_writes: "on".into(),
            wal_compression: "off".into(),
            shared_buffers: "128MB".into(),
        }
    }

    fn reading(commits: i64, lane: f64) -> Reading {
        Reading {
            database: Snapshot {
                settings: settings(),
                commits,
                deadlocks: 0,
                wal_bytes: Some(commits * 1000),
                lane_seconds: Ok([(7, lane)].into()),
            },
            client_seconds: Ok(lane),
            server_seconds: Err("no process id".into()),
        }
    }

    fn tally(applied: u64) -> Tally {
        let mut tally = load::Tally::new();
        for milliseconds in 1..=1000 {
            tally.latency.record(milliseconds * 1000).expect("grows");
        }
        tally.requests = 1000;
        tally.outcomes.applied = applied;
        tally
    }

    fn made(tally: &Tally, after: Reading) -> Result<Report, BenchError> {
        let options = Options::new("http://127.0.0.1:8080", "");
        let length = Duration::from_secs(10);
        let window = Window { length, before: reading(100, 1.0), after };
        let money = Money::check(5000, 0, 100, 5100)?;
        Report::new(&options, &window, tally, money)
    }

    pub(crate) fn report() -> Report {
        made(&tally(1000), reading(200, 1.5)).expect("complete")
    }

    #[test]
    fn figures_are_per_second_per_commit_and_per_transfer() {
        let report = report();
        assert!(report.durable);
        assert_eq!(report.throughput.transfers_per_second, 100.0);
        assert_eq!(report.database.transfers_per_commit, Some(10.0));
        assert_eq!(report.database.cluster_wal_bytes_per_transfer, Some(100.0));
        assert_eq!(report.backend_cpu_us_per_transfer, Measured::Value(500.0));
        assert_eq!(report.client_cpu_seconds, Measured::Value(0.5));
        assert_eq!(report.latency_ms.p50.round(), 500.0);
        assert_eq!(report.latency_ms.p99_9.round(), 999.0);
        assert!((1000.0..1001.0).contains(&report.latency_ms.max));
        let json: serde_json::Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(json["money"]["found"], 5000);
        assert_eq!(json["server_cpu_seconds"]["not_measured"], "no process id");
    }

    #[test]
    fn there_are_no_figures_without_applied_transfers_or_with_changed_settings() {
        let nothing = made(&tally(0), reading(200, 1.5));
        assert!(matches!(nothing, Err(BenchError::NothingApplied(_))));
        let mut after = reading(200, 1.5);
        after.database.settings.fsync = "off".into();
        let changed = made(&tally(1000), after);
        assert!(matches!(changed, Err(BenchError::SettingsChanged { .. })));
    }
}
