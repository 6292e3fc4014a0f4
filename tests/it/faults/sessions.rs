//! Sessions that die: terminated by PostgreSQL, or cut by the network at the moment that matters.

use super::{patient, transfer};
use giro_server::DatabaseUrl;
use giro_tests::load::{Load, Plan, Told};
use giro_tests::nemesis::applying;
use giro_tests::{Fault, Proxy, Target, TestDatabase, TestServer, eventually};
use std::time::Duration;

const SESSION: &str = r#"giro_unknown_total{cause="session",function="apply_transfers"}"#;
const ECHO: &str = r#"giro_unknown_total{cause="echo",function="apply_transfers"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminating_the_lane_under_load_loses_nothing_and_applies_nothing_twice() {
    const KILLS: u32 = 12;
    let server = TestServer::configured(patient).await;
    let load = Load::start(server.client, Plan::patient(40)).await;
    let killer = server.database.superuser().await;
    for _ in 0..KILLS {
        // Only a lane with a batch in flight: an idle one would prove nothing.
        let lane = applying(&server.database, "true").await;
        killer.query_one("SELECT pg_terminate_backend($1)", &[&lane]).await.unwrap();
        load.decides(20).await;
    }
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    assert!(server.metric(SESSION).await >= 1.0, "no call was in flight when its session died");
    assert_eq!(server.metric(ECHO).await, 0.0);
    // With this much time, whoever was in flight is answered late and not "unknown".
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    assert!(settled.applied > 0 && settled.rejected > 0, "{settled:?}");
}

#[tokio::test]
async fn an_idle_session_that_dies_is_replaced_before_anybody_notices() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let killer = server.database.superuser().await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE 'giro%'";
    assert_eq!(server.client.get("/accounts/1").await.status, 200);
    for id in 1..=5 {
        assert!(killer.query_one(kill, &[]).await.unwrap().get::<_, i64>(0) > 0);
        let reply = server.client.post("/transfer", &transfer(id)).await;
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
        let reply = server.client.get("/accounts/1").await;
        assert_eq!(reply.json["version"], id.to_string(), "{}", reply.text);
    }
}

#[tokio::test]
async fn without_a_database_nothing_is_accepted_and_the_server_heals_by_itself() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let superuser = server.database.superuser().await;
    server.database.allow_connections(false).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE 'giro%'";
    superuser.query(kill, &[]).await.unwrap();
    eventually("every lane has noticed", async || {
        server.admin.get("/readyz").await.text.starts_with("2 of 2 lanes")
    })
    .await;
    for _ in 0..3 {
        let soon = Duration::from_millis(100);
        let reply = super::post_within(server.client, soon, &transfer(1)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.outcome()),
            (503, "not_applied"),
            "{}",
            reply.text
        );
    }
    server.database.allow_connections(true).await;
    server.until_ready().await;
    let reply = server.client.post("/transfer", &transfer(1)).await;
    assert_eq!((reply.outcome(), reply.json.get("replayed")), ("applied", None), "{}", reply.text);
    let read = server.client.get("/accounts/1").await;
    assert_eq!(read.json["version"], "1", "reads heal as well: {}", read.text);
}

/// Cuts busy sessions again and again, each at this moment of a call; how many transfers were sent to
/// the database again although they had been decided.
pub(super) async fn cut_under_load(fault: Fault, cuts: u64, in_flight: usize) -> i64 {
    let database = TestDatabase::new().await;
    let proxy = Proxy::start(&database.server_url, Target::LANES).await;
    let server = TestServer::on(database, |config| {
        patient(config);
        config.batch.in_flight = in_flight;
        config.database.url = Some(DatabaseUrl::from(proxy.url().to_owned()));
    })
    .await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    for cut in 1..=cuts {
        load.decides(20).await;
        proxy.arm(fault);
        eventually("a session is cut", async || proxy.fired(fault) == cut).await;
    }
    load.decides(20).await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    // Whoever was in flight was answered late, by a second send on another session.
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    assert!(settled.applied > 0 && settled.rejected > 0, "{settled:?}");
    assert!(server.metric(SESSION).await >= cuts as f64);
    assert_eq!(server.metric(ECHO).await, 0.0);
    assert_eq!(proxy.counts().cancels, 0, "a batch is never cancelled");
    let replayed = "SELECT coalesce(sum(replayed), 0)::bigint FROM giro.batches";
    server.database.number(replayed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_cut_before_sync_has_not_committed_and_the_resend_applies_once() {
    // One at a time: of two, the first may be committed when the second is cut.
    let replayed = cut_under_load(Fault::CutBeforeSync, 10, 1).await;
    assert_eq!(replayed, 0, "what was cut had not been applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_cut_behind_sync_has_committed_and_the_resend_tells_what() {
    let replayed = cut_under_load(Fault::CutAfterSync, 10, 2).await;
    assert!(replayed >= 10, "{replayed} of what was cut had been applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_without_its_ready_for_query_is_not_believed_and_the_resend_tells_it() {
    let replayed = cut_under_load(Fault::CutBeforeReady, 10, 2).await;
    assert!(replayed >= 10, "{replayed} of what was cut had been applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_closed_sessions_are_replaced() {
    let replayed = cut_under_load(Fault::HalfClose, 3, 2).await;
    assert!(replayed >= 3, "{replayed} of what was cut had been applied");
}
