//! A synchronous standby that does not answer: a commit that waits for it is neither a failure nor an
//! answer.

use super::{assert_sheds_at_once, patient, post_within, transfer};
use giro_tests::load::{Load, Plan, Told};
use giro_tests::nemesis::applying;
use giro_tests::standby::Replication;
use giro_tests::{Pair, TestServer, eventually};
use std::time::{Duration, Instant};

const WAITS: &str = "wait_event = 'SyncRep'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_standby_nothing_is_acknowledged_or_cancelled_and_new_work_is_shed() {
    let pair = Pair::start(Replication::Synchronous).await;
    let server = TestServer::on(pair.database().await, |_| {}).await;
    let deadline = Duration::from_secs(2);
    let load = Load::start(server.client, Plan::patient(20).within(deadline)).await;
    load.decides(50).await;
    pair.standby.freeze().unwrap();
    let frozen = Instant::now();
    applying(&server.database, WAITS).await;
    assert_sheds_at_once(&server, "breaker_open").await;
    println!("sheds at once after {:?}", frozen.elapsed());
    assert!(frozen.elapsed() < Duration::from_secs(15), "{:?}", frozen.elapsed());
    // A backend that waits does not notice that its client is gone. If each attempt to come back left one
    // behind, they would take every connection.
    let waiting = format!("SELECT count(*) FROM pg_stat_activity WHERE {WAITS}");
    let waiting = server.database.number(&waiting).await;
    assert!((1..=6).contains(&waiting), "{waiting} backends wait for the standby");
    pair.standby.thaw().unwrap();
    let healed = Instant::now();
    load.decides(100).await;
    println!("goes on after {:?}", healed.elapsed());
    assert!(healed.elapsed() < Duration::from_secs(10), "{:?}", healed.elapsed());
    server.until_ready().await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    history.assert_every_wait_ended(deadline);
    assert!(history.count(|told| *told == Told::Unknown) > 0, "nothing was in flight");
    assert!(settled.unknown_decided > 0, "a commit that waits is a commit: {settled:?}");
    let log = std::fs::read_to_string(pair.primary.log_path()).unwrap();
    for cancelled in ["due to user request", "canceling wait for synchronous replication"] {
        assert!(!log.contains(cancelled), "a batch is never cancelled: {log}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_the_standby_that_somebody_cancels_is_not_acknowledged() {
    let pair = Pair::start(Replication::Synchronous).await;
    let server = TestServer::on(pair.database().await, patient).await;
    server.accounts(2).await;
    pair.standby.freeze().unwrap();
    let client = server.client;
    let long = Duration::from_secs(20);
    let sent = tokio::spawn(async move { post_within(client, long, &transfer(1)).await });
    let first = applying(&server.database, WAITS).await;
    let dba = server.database.superuser().await;
    dba.query_one("SELECT pg_cancel_backend($1)", &[&first]).await.unwrap();
    let warned = r#"giro_unknown_total{cause="warning",function="apply_transfers"}"#;
    eventually("the warning is seen", async || server.metric(warned).await >= 1.0).await;
    // The second send finds the transfer applied, and waits for the standby all the same.
    applying(&server.database, &format!("{WAITS} AND pid <> {first}")).await;
    assert!(!sent.is_finished(), "acknowledged without the standby");
    pair.standby.thaw().unwrap();
    let reply = sent.await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.outcome()), (200, "applied"), "{}", reply.text);
    let log = std::fs::read_to_string(pair.primary.log_path()).unwrap();
    assert!(log.contains("canceling wait for synchronous replication"), "{log}");
    server.until_ready().await;
    assert_eq!(server.database.number("SELECT count(*) FROM giro.transfers").await, 1);
    server.database.assert_consistent().await;
    server.stop().await;
}
