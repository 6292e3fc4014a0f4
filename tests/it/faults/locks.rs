//! Locks that somebody else holds.

use super::{lock_account, patient, post_until_applied};
use giro_tests::nemesis::applying;
use giro_tests::{TestServer, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LOCK_TIMEOUTS: &str = r#"giro_db_errors_total{severity="ERROR",sqlstate="55P03"}"#;
const SESSION: &str = r#"giro_unknown_total{cause="session",function="apply_transfers"}"#;

async fn impatient_with_locks() -> TestServer {
    let server = TestServer::configured(|config| {
        patient(config);
        config.database.lock_timeout.0 = Duration::from_millis(300);
    })
    .await;
    server.accounts(4).await;
    server
}

fn between(id: u64, debit: u64, credit: u64) -> Value {
    json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": 1})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_account_waits_and_others_go_on_between_its_attempts() {
    let server = impatient_with_locks().await;
    let client = server.client;
    let holder = lock_account(&server, 1).await;
    let waiting = tokio::spawn(async move { post_until_applied(client, &between(1, 1, 2)).await });
    applying(&server.database, "wait_event_type = 'Lock'").await;
    let started = Instant::now();
    for id in 2..=6 {
        post_until_applied(client, &between(id, 3, 4)).await;
    }
    // Each waits for one lock time-out or two, not for the lock.
    println!("five transfers of other accounts took {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(!waiting.is_finished(), "the lock was not in the way");
    eventually("a lock time-out", async || server.metric(LOCK_TIMEOUTS).await >= 1.0).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap();
    assert_eq!(server.metric(SESSION).await, 0.0, "a lock costs no session");
    assert_eq!(server.database.number("SELECT count(*) FROM giro.transfers").await, 6);
    server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_is_waited_for_and_then_everything_goes_on() {
    let server = impatient_with_locks().await;
    let client = server.client;
    let holder = server.database.superuser().await;
    holder.batch_execute("BEGIN; LOCK TABLE giro.account_state").await.unwrap();
    let waiting = [(1, 1, 2), (2, 3, 4)].map(|(id, debit, credit)| {
        tokio::spawn(async move { post_until_applied(client, &between(id, debit, credit)).await })
    });
    eventually("lock time-outs", async || server.metric(LOCK_TIMEOUTS).await >= 2.0).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "the lock was not in the way");
    holder.batch_execute("ROLLBACK").await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    server.until_ready().await;
    assert_eq!(server.database.number("SELECT count(*) FROM giro.transfers").await, 2);
    server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_costs_no_session_however_many_batches_wait_behind_it() {
    let server = TestServer::configured(|config| {
        config.batch.in_flight = 4;
        config.database.lock_timeout.0 = Duration::from_millis(700);
        config.database.statement_timeout.0 = Duration::from_millis(1000);
        config.server.request_timeout.0 = Duration::from_secs(20);
        config.queue.max_wait.0 = Duration::from_secs(20);
        config.queue.target_wait.0 = Duration::from_secs(20);
    })
    .await;
    server.accounts(8).await;
    let client = server.client;
    let holder = server.database.superuser().await;
    holder.batch_execute("BEGIN; LOCK TABLE giro.account_state").await.unwrap();
    // Four batches of one: together they wait longer than the watchdog allows one.
    let mut waiting = Vec::new();
    for id in 1..=4 {
        waiting.push(tokio::spawn(async move {
            post_until_applied(client, &between(id, 2 * id - 1, 2 * id)).await
        }));
        eventually("in flight", async || {
            server.metric(r#"giro_batches_in_flight{batcher="transfers"}"#).await == id as f64
        })
        .await;
    }
    eventually("lock time-outs", async || server.metric(LOCK_TIMEOUTS).await >= 4.0).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    for cause in ["session", "watchdog"] {
        let unknown =
            format!(r#"giro_unknown_total{{cause="{cause}",function="apply_transfers"}}"#);
        assert_eq!(server.metric(&unknown).await, 0.0, "{cause}");
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.transfers").await, 4);
    server.database.assert_consistent().await;
}
