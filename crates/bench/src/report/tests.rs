use std::time::Duration;

use super::*;
use crate::control::NotSent;
use crate::database::{Counters, Snapshot};
use crate::recorder::Kind;
use crate::sampler::Sampled;
use crate::window::Reading;
use crate::workload::{Arrivals, OpenLoop};

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
            counters: Counters::all(commits * 1000),
            lane_seconds: Ok([(7, lane)].into()),
            all_seconds: Ok(lane * 3.0),
        },
        client_seconds: Ok(lane),
        server_seconds: Err("no process id".into()),
    }
}

fn load(applied: u64) -> Load {
    let mut latencies = Latencies::new();
    for milliseconds in 1..=1000 {
        latencies.record(Kind::Single, Duration::from_millis(milliseconds));
    }
    let mut tally = Tally { requests: 1000, ..Tally::default() };
    tally.outcomes.applied = applied;
    let not_sent = NotSent { count: 30, behind_seconds: 0.5, largest_backlog: 40 };
    let money = Money {
        acknowledged: 5000,
        unknown: 0,
        found: 5000,
        pending_acknowledged: 70,
        pending_found: 70,
        accounts_checked: 110,
        accounts_read_over_http: 10,
    };
    Load { tally, latencies, not_sent, money }
}

fn made(open_loop: Option<OpenLoop>, load: Load, after: Reading) -> Result<Report, BenchError> {
    let options = Options { open_loop, ..Options::new("http://127.0.0.1:8080", "") };
    let length = Duration::from_secs(10);
    let sampled = Sampled { transactions: 50, ..Sampled::default() };
    let window = Window { length, before: reading(100, 1.0), after, sampled };
    Report::new(&options, window, load)
}

pub(crate) fn report(open_loop: Option<OpenLoop>) -> Report {
    made(open_loop, load(1000), reading(250, 1.5)).expect("complete")
}

#[test]
fn figures_are_per_second_per_commit_and_per_transfer() {
    let report = report(None);
    assert!(report.durable);
    assert_eq!(report.throughput.transfers_per_second, 100.0);
    assert_eq!(report.database.commits, 100, "without those of the sampler");
    assert_eq!(report.database.transfers_per_commit, Some(10.0));
    assert_eq!(report.database.cluster_wal_bytes_per_transfer, Some(150.0));
    assert_eq!(report.database.wal_fsyncs_per_transfer, Measured::Value(150.0));
    assert_eq!(report.backend_cpu_us_per_transfer, Measured::Value(500.0));
    assert_eq!(report.client_cpu_seconds, Measured::Value(0.5));
    assert_eq!(report.database_cpu_seconds, Measured::Value(1.5));
    assert_eq!(report.latency_ms.p50.round(), 500.0);
    assert_eq!(report.latency_ms.p99_9.round(), 999.0);
    assert!((1000.0..1001.0).contains(&report.latency_ms.max));
    assert_eq!(report.latency_by_kind["single"].requests, 1000);
    let json: serde_json::Value = serde_json::from_str(&report.json()).expect("JSON");
    assert_eq!(json["money"]["found"], 5000);
    assert_eq!(json["workload"]["arrival"], "closed");
    assert!(json["open_loop"].is_null());
    assert_eq!(json["server_cpu_seconds"]["not_measured"], "no process id");
    let never_looked = &json["database"]["sampled_lock_wait_ms_per_transfer"];
    assert!(never_looked["not_measured"].is_string(), "not 0");
}

#[test]
fn an_open_loop_says_what_was_offered_and_how_far_it_fell_behind() {
    let report = report(Some(OpenLoop { rate: 105.0, arrivals: Arrivals::Constant }));
    let json: serde_json::Value = serde_json::from_str(&report.json()).expect("JSON");
    assert_eq!(json["workload"]["arrival"], "open");
    assert_eq!(
        json["open_loop"],
        serde_json::json!({
            "rate": 105.0, "arrivals": "constant", "achieved_rate": 100.0, "not_sent": 30,
            "behind_seconds": 0.5, "largest_backlog": 40
        })
    );
}

#[test]
fn there_are_no_figures_without_applied_transfers_or_with_changed_settings() {
    let nothing = made(None, load(0), reading(250, 1.5));
    assert!(matches!(nothing, Err(BenchError::NothingApplied(_))));
    let mut after = reading(250, 1.5);
    after.database.settings.fsync = "off".into();
    let changed = made(None, load(1000), after);
    assert!(matches!(changed, Err(BenchError::SettingsChanged { .. })));
}
