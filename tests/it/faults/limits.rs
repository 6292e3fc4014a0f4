//! A server with too little memory, processor or descriptors.

use giro_tests::load::{Load, Plan};
use giro_tests::needs::{self, Need};
use giro_tests::nemesis::{Cgroup, Controller, Descriptors};
use giro_tests::{ServerProcess, TestDatabase, eventually};
use hyper::Method;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name LIKE 'giro%'";

async fn serve(database: &TestDatabase) -> ServerProcess {
    ServerProcess::start(env!("CARGO_BIN_EXE_giro-under-test"), database).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_descriptor_to_spare_it_loses_its_sessions_and_finds_them_again() {
    let database = TestDatabase::new().await;
    let server = serve(&database).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    let descriptors = Descriptors::squeeze(server.id(), 0);
    println!("{}", descriptors.evidence());
    let client = server.client;
    let mut beside = JoinSet::new();
    for _ in 0..20 {
        beside.spawn(async move { client.get("/accounts/1").await.status });
    }
    let refused = || server.log.lock().unwrap().contains("could not be accepted");
    eventually("descriptors have run out", async || refused()).await;
    // Each new session has to compete with the connections that wait to be accepted.
    database.superuser().await.query(TERMINATE, &[]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    drop(descriptors);
    load.decides(100).await;
    for status in beside.join_all().await {
        assert!([200, 503].contains(&status.as_u16()), "{status}");
    }
    let (history, settled) = load.assert_truth(&database, server.client).await;
    history.assert_nobody_was_cut_off();
    assert!(settled.applied > 100, "{settled:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_little_memory_a_flood_is_refused_and_nobody_is_killed() {
    if !needs::met(&[Need::MemoryGroup]) {
        return;
    }
    let database = TestDatabase::new().await;
    let server = serve(&database).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    let group = Cgroup::new(Controller::Memory).expect("a control group");
    group.limit(96 << 20);
    group.take(server.id());
    let (client, process) = (server.client, server.id());
    let mut flood = JoinSet::new();
    for _ in 0..200 {
        flood.spawn(async move {
            let headers = [("content-type", "application/json")];
            let body = format!("{}!", " ".repeat(900 << 10));
            client.send(Method::POST, "/transfers", &headers, &body).await
        });
    }
    let mut answers = BTreeMap::new();
    for answer in flood.join_all().await {
        // Whoever is refused before all is sent may find the connection closed.
        let status = answer.map_or(0, |reply| reply.status.as_u16());
        *answers.entry(status).or_insert(0) += 1;
    }
    println!("{answers:?}");
    let refusals = [0, 400, 408, 413, 429, 503];
    assert!(answers.keys().all(|status| refusals.contains(status)), "{answers:?}");
    println!("{}", group.evidence());
    assert!(group.most() > 4 << 20, "it needed no memory: {}", group.evidence());
    load.decides(100).await;
    drop(group);
    load.decides(50).await;
    assert_eq!(server.id(), process);
    let (history, settled) = load.assert_truth(&database, server.client).await;
    history.assert_nobody_was_cut_off();
    assert!(settled.applied > 100, "{settled:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_twentieth_of_a_processor_it_is_only_slower() {
    if !needs::met(&[Need::ProcessorGroup]) {
        return;
    }
    let database = TestDatabase::new().await;
    let server = serve(&database).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    let group = Cgroup::new(Controller::Processor).expect("a control group");
    group.limit(5);
    group.take(server.id());
    eventually("it has to wait", async || group.met() >= 10).await;
    load.decides(20).await;
    println!("{}", group.evidence());
    drop(group);
    load.decides(100).await;
    let (history, settled) = load.assert_truth(&database, server.client).await;
    history.assert_nobody_was_cut_off();
    assert!(settled.applied > 100, "{settled:?}");
}
