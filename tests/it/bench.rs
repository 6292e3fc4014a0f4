//! `giro bench` against a real server: every workload is reported in full, and its money agrees.

use crate::direct::until_blocked;
use giro_tests::{TestServer, eventually};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Runs `giro bench` for a moment on few accounts: its report, or what it says on failing.
async fn bench(server: &TestServer, more: &[&str]) -> Result<Value, String> {
    let (url, pid) = (format!("http://{}", server.address()), std::process::id().to_string());
    let connections =
        if more.contains(&"--connections") { &[][..] } else { &["--connections", "8"] };
    let output = Command::new(env!("CARGO_BIN_EXE_giro-under-test"))
        .args(["bench", "--json", "--url", &url, "--database-url", &server.database.server_url])
        .args(connections)
        .args(["--duration", "1s", "--warmup", "100ms"])
        .args(["--accounts", "200", "--server-pid", &pid])
        .args(more)
        .current_dir("/")
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("the program runs");
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).expect("UTF-8"));
    }
    Ok(serde_json::from_slice(&output.stdout).expect("a report"))
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {report:#}"))
}

/// What every report has, whatever was run.
fn assert_complete(report: &Value, workload: &str) {
    assert_eq!(report["workload"]["name"], workload);
    for above_zero in [
        "/throughput/transfers_per_second",
        "/throughput/requests_per_second",
        "/latency_ms/p99_9",
        "/database/commits_per_transfer",
        "/database/cluster_wal_bytes_per_transfer",
        "/client_cpu_seconds/value",
        "/server_cpu_seconds/value",
        "/database_cpu_seconds/value",
        "/samples/0/wal_bytes/value",
        "/samples/0/decisions_bytes/value",
        "/money/found",
    ] {
        assert!(number(report, above_zero) > 0.0, "{above_zero} of {workload}");
    }
    for known in [
        "/database/wal_records_per_transfer/value",
        "/database/wal_full_page_images_per_transfer/value",
        "/database/wal_fsyncs_per_transfer/value",
        "/database/checkpoints/value",
        "/database/autovacuum_runs/value",
        "/database/sampled_lock_wait_ms_per_transfer/value",
        "/lane_cpu_seconds/value",
        "/samples/0/commits/value",
        "/samples/0/dead_account_rows/value",
        "/samples/0/sessions_waiting_for_locks/value",
    ] {
        assert!(number(report, known) >= 0.0, "{known} of {workload}");
    }
    for (one, other) in [("acknowledged", "found"), ("pending_acknowledged", "pending_found")] {
        assert_eq!(report["money"][one], report["money"][other], "{one} of {workload}");
    }
    assert_eq!(number(report, "/outcomes/rejected"), 0.0, "{workload}: {}", report["trouble"]);
}

#[tokio::test]
async fn bench_reports_every_workload_in_full() {
    let server = TestServer::start().await;
    for (workload, more, accounts, kinds) in [
        ("hot", &["--hot-accounts", "3"][..], 203, &["single"][..]),
        ("uniform", &["--bulk", "5"], 200, &["bulk"]),
        ("zipf", &[], 200, &["single"]),
        ("pareto", &[], 201, &["single"]),
        ("holds", &["--bulk", "5"], 210, &["bulk"]),
        ("chains", &[], 210, &["chain"]),
        ("mixed", &[], 210, &["bulk", "read", "single"]),
    ] {
        let more = [&["--workload", workload], more].concat();
        let report = bench(&server, &more).await.unwrap_or_else(|said| panic!("{said}"));
        assert_complete(&report, workload);
        assert_eq!(report["workload"]["arrival"], "closed");
        assert_eq!(number(&report, "/money/accounts_checked"), f64::from(accounts), "{workload}");
        for kind in kinds {
            let requests = number(&report, &format!("/latency_by_kind/{kind}/requests"));
            assert!(requests > 0.0, "{kind} of {workload}");
        }
    }
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn bench_keeps_a_schedule_and_writes_what_it_saw() {
    let server = TestServer::start().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [log, samples] =
        ["latencies.hlog", "samples.jsonl"].map(|name| directory.path().join(name));
    let path = |file: &Path| file.to_str().expect("UTF-8").to_owned();
    let files = ["--hdr", &path(&log), "--samples", &path(&samples)];
    let more = [&["--rate", "200", "--arrivals", "constant"], &files[..]].concat();
    let report = bench(&server, &more).await.unwrap_or_else(|said| panic!("{said}"));
    assert_complete(&report, "hot");
    assert_eq!(report["workload"]["arrival"], "open");
    assert_eq!(report["open_loop"]["arrivals"], "constant");
    // Arrivals of the window that were answered, given up, or never sent: all of them count.
    let requests = report["latency_by_kind"].as_object().expect("kinds");
    let counted: f64 = requests.values().map(|kind| number(kind, "/requests")).sum();
    let due = 200.0 * number(&report, "/workload/measured_seconds");
    assert!((counted - due).abs() <= 2.0, "{counted} of {due}");

    let log = std::fs::read_to_string(log).expect("the log");
    assert!(log.contains("#[StartTime: ") && log.contains("open loop (constant, 200 requests/s"));
    assert!(log.lines().filter(|line| line.contains("HISTFA")).count() >= 1, "{log}");
    let samples = std::fs::read_to_string(samples).expect("the samples");
    let first: Value = serde_json::from_str(samples.lines().next().expect("one")).expect("JSON");
    assert_eq!(first, report["samples"][0]);
}

#[tokio::test]
async fn bench_refuses_what_makes_no_sense_before_it_begins() {
    let server = TestServer::start().await;
    for (more, said) in [
        (&["--workload", "chains", "--bulk", "5"][..], "bulk: must be 1"),
        (&["--workload", "zipf", "--hot-accounts", "5"], "hot_accounts: must be absent"),
        (&["--rate", "0"], "rate: must be above 0"),
        (&["--bulk", "0"], "bulk: must be at least 1"),
        (&["--connections", "1000000000"], "more than the process may open"),
        (&["--arrivals", "poisson"], "--rate"),
        (&["--workload", "cold"], "possible values: hot, uniform, zipf"),
        (&["--hdr", "/nowhere/log"], "/nowhere/log: "),
        (&["--samples", "/nowhere/samples"], "/nowhere/samples: "),
    ] {
        let error = bench(&server, more).await.expect_err("refused");
        assert!(error.contains(said), "{more:?}: {error}");
    }
    let accounts = server.database.number("SELECT count(*) FROM giro.accounts").await;
    assert_eq!(accounts, 0, "nothing was begun");
}

#[tokio::test]
async fn what_a_stopped_run_left_behind_is_not_taken_for_lost_money() {
    let server = TestServer::start().await;
    let url = format!("http://{}", server.address());
    let mut stopped = Command::new(env!("CARGO_BIN_EXE_giro-under-test"))
        .args(["bench", "--url", &url, "--database-url", &server.database.server_url])
        .args(["--connections", "8", "--duration", "60s", "--warmup", "0s", "--accounts", "200"])
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program runs");
    let applied = "SELECT count(*) FROM giro.transfers";
    eventually("it sends", async || server.database.number(applied).await > 100).await;
    // Its last transfers wait for a lock until the next run has long begun.
    let mut superuser = server.database.superuser().await;
    let locked = superuser.transaction().await.expect("a transaction");
    locked.batch_execute("SELECT FROM giro.account_state FOR UPDATE").await.expect("the lock");
    until_blocked(&server.database).await;
    stopped.kill().await.expect("it is stopped");
    let unlocked = async {
        let reads = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%settled_seq%'
                        AND application_name = 'giro bench'";
        eventually("the next one looks", async || server.database.number(reads).await > 0).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        locked.rollback().await.expect("the lock is gone");
    };
    let (report, ()) = tokio::join!(bench(&server, &[]), unlocked);
    report.unwrap_or_else(|said| panic!("{said}"));
}
