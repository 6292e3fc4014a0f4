//! A backend that stands still while it has a batch, and goes on when nobody expects it any more.

use super::{lock_account, patient, post_within, transfer};
use giro_tests::nemesis::{Halted, applying};
use giro_tests::{ServerProcess, TestDatabase, TestServer, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WATCHDOG: &str = r#"giro_unknown_total{cause="watchdog",function="apply_transfers"}"#;
const LONG: Duration = Duration::from_secs(15);

/// Halts the backend of the lane while it waits for the row of account 1, holding none.
async fn halt_at_lock(server: &TestServer, send: impl AsyncFnOnce()) -> Zombie {
    let holder = lock_account(server, 1).await;
    send().await;
    let backend = applying(&server.database, "wait_event_type = 'Lock'").await;
    let halted = Halted::new(backend);
    holder.batch_execute("ROLLBACK").await.unwrap();
    Zombie { backend, halted }
}

struct Zombie {
    backend: i32,
    halted: Halted,
}

impl Zombie {
    /// Lets it go on, and waits until it has done all that it has been sent.
    async fn wake(self, database: &TestDatabase) {
        let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {}", self.backend);
        assert_eq!(database.number(&there).await, 1, "it ended before it could do harm");
        drop(self.halted);
        eventually("the zombie is gone", async || database.number(&there).await == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_backend_is_given_up_and_changes_nothing_when_it_goes_on() {
    let server = TestServer::configured(patient).await;
    server.accounts(2).await;
    let client = server.client;
    let mut in_flight = Vec::new();
    let started = Instant::now();
    let zombie = halt_at_lock(&server, async || {
        for (id, deadline) in [(1, LONG), (2, Duration::from_millis(1500))] {
            in_flight.push(tokio::spawn(async move {
                post_within(client, deadline, &transfer(id)).await
            }));
            eventually("in flight", async || {
                let metric = r#"giro_batches_in_flight{batcher="transfers"}"#;
                server.metric(metric).await == id as f64
            })
            .await;
        }
    })
    .await;
    let [long, short] = in_flight.try_into().ok().unwrap();
    let short = short.await.unwrap();
    assert_eq!((short.status.as_u16(), short.outcome()), (504, "unknown"), "{}", short.text);
    let long = long.await.unwrap();
    assert_eq!((long.status.as_u16(), long.outcome()), (200, "applied"), "{}", long.text);
    let took = started.elapsed();
    println!("a new session had the answer after {took:?}");
    assert!(took < Duration::from_secs(9), "{took:?}");
    assert!(server.metric(WATCHDOG).await >= 1.0);
    // The same id again settles what was not known.
    assert_eq!(client.post("/transfer", &transfer(2)).await.outcome(), "applied");
    zombie.wake(&server.database).await;
    let account = client.get("/accounts/1").await;
    assert_eq!(account.json["debits_posted"], "2", "{}", account.text);
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 2);
    server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_for_good_is_not_applied_by_a_zombie_for_which_there_is_money_again() {
    let server = TestServer::configured(patient).await;
    let accounts = json!([{"id": 1, "flags": ["debits_must_not_exceed_credits"]}, {"id": 2}]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let other = ServerProcess::start(program, &server.database).await;
    let fund = |id: u64| json!({"id": id, "debit_account": 2, "credit_account": 1, "amount": 100});
    let spend = |id: u64| json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 100});
    let applied = async |body: Value| {
        let reply = other.client.post("/transfer", &body).await;
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    };
    applied(fund(1)).await;

    let client = server.client;
    let mut sent = None;
    let zombie = halt_at_lock(&server, async || {
        sent = Some(tokio::spawn(async move { post_within(client, LONG, &spend(2)).await }));
    })
    .await;
    // Before the second send, another server spends the money.
    applied(spend(3)).await;
    let refused = sent.unwrap().await.unwrap();
    assert_eq!((refused.outcome(), refused.reason()), ("rejected", "exceeds_credits"));
    applied(fund(4)).await;
    zombie.wake(&server.database).await;

    let account = client.get("/accounts/1").await;
    assert_eq!(account.json["debits_posted"], "100", "spent once: {}", account.text);
    let again = client.post("/transfer", &spend(2)).await;
    assert_eq!((again.reason(), &again.json["replayed"]), ("exceeds_credits", &json!(true)));
    server.database.assert_consistent().await;
}
