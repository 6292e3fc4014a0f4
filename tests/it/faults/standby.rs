//! A synchronous standby that does not answer: a commit that waits for it is neither a failure nor an
//! answer.

use super::{patient, post_within, transfer};
use giro_tests::nemesis::applying;
use giro_tests::standby::Replication;
use giro_tests::{Pair, TestServer, eventually};
use std::time::Duration;

const WAITS: &str = "wait_event = 'SyncRep'";

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
