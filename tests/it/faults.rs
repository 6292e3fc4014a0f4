//! Sessions die under load: answered late or as unknown, nothing lost, nothing twice.

use giro_tests::{TestServer, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

fn transfer(caller: u64, n: u64) -> Value {
    json!({
        "id": caller * 1_000_000 + n + 1,
        "debit_account": 1 + n % 3, "credit_account": 4 + caller % 5, "amount": 1 + n % 9,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminating_the_lane_under_load_loses_nothing_and_applies_nothing_twice() {
    const KILLS: u32 = 12;
    let server = TestServer::configured(|config| {
        config.server.request_timeout.0 = Duration::from_secs(20);
        config.queue.max_wait.0 = Duration::from_secs(20);
        config.queue.target_wait.0 = Duration::from_secs(20);
    })
    .await;
    server.accounts(8).await;
    let client = server.client;
    let done = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..40 {
        let done = done.clone();
        callers.spawn(async move {
            let mut sent = Vec::new();
            for n in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let reply = client.post("/transfer", &transfer(caller, n)).await;
                let outcome = reply.outcome().to_owned();
                let expected = match reply.status.as_u16() {
                    200 => "applied",
                    503 => "not_applied",
                    504 => "unknown",
                    other => panic!("{other}: {}", reply.text),
                };
                assert_eq!(outcome, expected, "{}", reply.text);
                sent.push((transfer(caller, n), outcome));
            }
            sent
        });
    }
    let killer = server.database.superuser().await;
    for _ in 0..KILLS {
        // Only a lane with a batch in flight: an idle one would prove nothing.
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE datname = current_database() AND state = 'active'
                       AND application_name = 'giro lane 1' AND query LIKE '%apply_transfers%'";
        eventually("a busy lane is terminated", async || {
            killer.query_one(kill, &[]).await.unwrap().get::<_, i64>(0) > 0
        })
        .await;
        server.until_ready().await;
    }
    done.store(true, Ordering::Relaxed);
    let sent: Vec<(Value, String)> = callers.join_all().await.into_iter().flatten().collect();
    let unknown_calls =
        server.metric(r#"giro_unknown_total{cause="session",function="apply_transfers"}"#);
    assert!(unknown_calls.await >= 1.0, "no call was in flight when its session died");

    // With this much time, whoever was in flight is answered late and not "unknown".
    let unknown = sent.iter().filter(|(_, outcome)| outcome == "unknown").count();
    assert_eq!(unknown, 0, "of {} answers", sent.len());

    // Every answer is true, and the same id again settles what was not known.
    let superuser = server.database.superuser().await;
    for (transfer, outcome) in &sent {
        let id: i64 = transfer["id"].as_i64().unwrap();
        let stored = superuser
            .query_one(
                "SELECT count(*) FROM giro.transfers
                  WHERE id = lpad(to_hex($1::bigint), 32, '0')::uuid",
                &[&id],
            )
            .await
            .unwrap()
            .get::<_, i64>(0);
        match outcome.as_str() {
            "applied" => assert_eq!(stored, 1, "lost: {transfer}"),
            "not_applied" => assert_eq!(stored, 0, "applied, yet refused: {transfer}"),
            _ => {
                let again = server.client.post("/transfer", transfer).await;
                assert_eq!(again.outcome(), "applied", "{}", again.text);
            }
        }
    }
    assert_eq!(
        server.metric(r#"giro_unknown_total{cause="echo",function="apply_transfers"}"#).await,
        0.0
    );
    server.database.assert_consistent().await;
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
        let body = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        let reply = server.client.post("/transfer", &body).await;
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
    let headers = [("request-timeout-ms", "100")];
    let body = json!({"id": 1, "debit_account": 1, "credit_account": 2, "amount": 1});
    for _ in 0..3 {
        let reply =
            server.client.post_with("/transfer", &headers, &body.to_string()).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.outcome()),
            (503, "not_applied"),
            "{}",
            reply.text
        );
    }
    server.database.allow_connections(true).await;
    server.until_ready().await;
    let reply = server.client.post("/transfer", &body).await;
    assert_eq!((reply.outcome(), reply.json.get("replayed")), ("applied", None), "{}", reply.text);
    let read = server.client.get("/accounts/1").await;
    assert_eq!(read.json["version"], "1", "reads heal as well: {}", read.text);
}
