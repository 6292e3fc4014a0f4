//! A stop while PostgreSQL stands still; under load alone: `shutdown.rs`.

use giro_tests::load::{Load, Plan, Told};
use giro_tests::nemesis::applying;
use giro_tests::{ServerProcess, TestDatabase, TestServer, cluster};
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_while_postgresql_stands_still_answers_every_accepted_request() {
    let cluster = cluster::start(&[]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    let environment = [
        ("DATABASE_URL", database.server_url.as_str()),
        ("GIRO__QUEUE__MAX_WAIT", "20s"),
        ("GIRO__QUEUE__TARGET_WAIT", "20s"),
        ("GIRO__SERVER__DRAIN_TIMEOUT", "3s"),
    ];
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = ServerProcess::run(program, &["serve"], &environment).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    applying(&database, "true").await;
    cluster.freeze().unwrap();
    let stopping = Instant::now();
    server.signal(Signal::TERM);
    let ended = server.ended().await;
    println!("ended {:?} after SIGTERM", stopping.elapsed());
    assert_eq!(ended.code(), Some(1), "the exit code says that it was not drained: {ended}");
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
    let history = load.stop().await;
    cluster.thaw().unwrap();

    history.assert_nobody_was_cut_off();
    assert!(history.count(|told| *told == Told::Unknown) > 0, "nothing was in flight");
    let after = TestServer::on(database, |_| {}).await;
    let settled = history.assert_truth(&after.database, after.client).await;
    assert!(settled.applied > 0, "{settled:?}");
    after.stop().await;
}
