//! Processes that are killed: all of PostgreSQL, one backend of it, and the server.

use super::private;
use giro_tests::load::{Load, Plan, Told};
use giro_tests::nemesis::{applying, kill};
use giro_tests::{ServerProcess, TestDatabase};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Far above what it takes, so that a busy machine is no reason to fail.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_all_of_postgresql_under_load_loses_nothing_and_applies_nothing_twice() {
    let (mut cluster, server) = private().await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    for _ in 0..3 {
        load.decides(50).await;
        applying(&server.database, "true").await;
        cluster.kill();
        cluster.start_again();
        let accepts = Instant::now();
        load.decides(1).await;
        println!("applies again {:?} after PostgreSQL accepts", accepts.elapsed());
        assert!(accepts.elapsed() < SOON, "{:?}", accepts.elapsed());
    }
    server.until_ready().await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0, "all had time for a resend");
    assert!(settled.applied > 150, "{settled:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_backend_resets_all_sessions_and_loses_nothing() {
    let (cluster, server) = private().await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    kill(applying(&server.database, "true").await);
    load.decides(50).await;
    let log = std::fs::read_to_string(cluster.log_path()).unwrap();
    assert!(log.contains("terminating any other active server processes"), "{log}");
    server.until_ready().await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0, "all had time for a resend");
    assert!(settled.applied > 100, "{settled:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_under_load_leaves_what_a_second_send_settles() {
    let database = TestDatabase::new().await;
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let mut server = ServerProcess::start(program, &database).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    for _ in 0..4 {
        load.decides(50).await;
        applying(&database, "true").await;
        server.signal(Signal::KILL);
        server.ended().await;
        let started = Instant::now();
        server = ServerProcess::start(program, &database).await;
        load.turn_to(server.client);
        load.decides(1).await;
        println!("applies again {:?} after the restart", started.elapsed());
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    }
    let (history, settled) = load.assert_truth(&database, server.client).await;
    let cut = history.count(|told| matches!(told, Told::Cut(_)));
    assert!(cut >= 4, "{cut} requests were under way when their server was killed");
    assert!(settled.unknown_decided > 0, "{settled:?}");
}
