//! A stop answers every request that was accepted.

use crate::stalled::{Stalled, transfer};
use giro_server::Stopped;
use giro_tests::{ServerProcess, TestDatabase, eventually};
use rustix::process::Signal;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_answers_every_accepted_request() {
    let database = TestDatabase::new().await;
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = ServerProcess::start(program, &database).await;
    let accounts: Vec<_> = (1..=12).map(|id| json!({"id": id})).collect();
    assert_eq!(server.client.post("/accounts", &json!(accounts)).await.status, 200);
    let client = server.client;
    let answered = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..60_u64 {
        let answered = answered.clone();
        callers.spawn(async move {
            let (mut applied, mut end) = (0_i64, String::new());
            let mut kept = None;
            for n in 0.. {
                let body = json!({
                    "id": caller * 1_000_000 + n + 1,
                    "debit_account": 1 + caller % 6, "credit_account": 7 + n % 6, "amount": 1,
                });
                // Half of the callers keep their connection until the server asks them to close it.
                let mut connection = match kept.take() {
                    Some(connection) => connection,
                    None => match client.connect().await {
                        Ok(connection) => connection,
                        // The listener is closed: this request was never accepted.
                        Err(error) => {
                            end = error;
                            break;
                        }
                    },
                };
                match connection.post("/transfer", &body).await {
                    Ok(reply) if reply.status == 200 => {
                        applied += 1;
                        answered.fetch_add(1, Ordering::Relaxed);
                        if caller % 2 == 0 && reply.header("connection") != "close" {
                            kept = Some(connection);
                        }
                    }
                    Ok(reply) => {
                        assert_eq!(reply.reason(), "draining", "{}", reply.text);
                        end = "draining".to_owned();
                        break;
                    }
                    Err(error) => {
                        end = error;
                        break;
                    }
                }
            }
            (applied, end)
        });
    }
    eventually("under load", async || answered.load(Ordering::Relaxed) > 500).await;
    server.signal(Signal::TERM);
    let ended = server.ended().await;
    assert!(ended.success(), "{ended}");
    let mut applied = 0;
    for (own, end) in callers.join_all().await {
        applied += own;
        let refused = end == "draining" || end.contains("refused");
        // A connection that was open and got no answer would say "closed" or "reset" here.
        assert!(refused, "a request was cut off: {end}");
    }
    // Nobody was told less than what happened.
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, applied);
    database.assert_consistent().await;
}

#[tokio::test]
async fn a_stop_is_not_ready_at_once_and_flushes_the_queue() {
    let stalled = Stalled::new().await;
    let queued: Vec<_> = (1..=4).map(|id| stalled.post(id)).collect();
    stalled.queued(4.0).await;
    let Stalled { server, holder, in_flight } = stalled;
    let (client, admin) = (server.client, server.admin);
    let stopping = tokio::spawn(server.stop());
    eventually("not ready", async || {
        let reply = admin.get("/readyz").await;
        reply.status == 503 && reply.text == "draining\n"
    })
    .await;
    let late = client.post("/transfer", &transfer(99)).await;
    assert_eq!((late.status.as_u16(), late.reason()), (503, "draining"));
    holder.batch_execute("ROLLBACK").await.unwrap();
    let (stopped, database) = stopping.await.unwrap();
    assert_eq!(stopped, Stopped::Drained);
    for sent in in_flight.into_iter().chain(queued) {
        let reply = sent.await.unwrap();
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    }
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, 6);
}

#[tokio::test]
async fn a_stop_that_runs_out_of_time_answers_everybody_all_the_same() {
    let stalled = Stalled::new().await;
    let queued: Vec<_> = (1..=4).map(|id| stalled.post(id)).collect();
    stalled.queued(4.0).await;
    let Stalled { server, holder, in_flight } = stalled;
    let (stopped, database) = server.stop_within(Duration::from_millis(200)).await;
    assert_eq!(stopped, Stopped::TimedOut { abandoned: 4 });
    for sent in queued {
        let reply = sent.await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.reason()), (503, "draining"), "{}", reply.text);
    }
    for sent in in_flight {
        let reply = sent.await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.outcome()), (504, "unknown"), "{}", reply.text);
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    let queued = "SELECT count(*) FROM giro.decisions WHERE id::text LIKE '%000_'";
    assert_eq!(database.number(queued).await, 0, "what was given up never ran");
}
