//! An id has one answer, through repeats and through two servers at once.

use crate::direct;
use giro_tests::database::connect;
use giro_tests::{Client, ServerProcess, TestDatabase, TestServer};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

fn transfer(id: u64) -> Value {
    json!({"id": id, "debit_account": 1 + id % 5, "credit_account": 6 + id % 7, "amount": id})
}

/// Sends transfers `1..=count` in a scattered order, and returns how many were applied first and how
/// many were replays.
async fn send_all(client: Client, count: u64, stride: u64) -> (u64, u64) {
    let mut senders = JoinSet::new();
    for sender in 0..50 {
        senders.spawn(async move {
            let (mut applied, mut replayed) = (0, 0);
            for i in (sender..count).step_by(50) {
                let id = 1 + i * stride % count;
                let reply = client.post("/transfer", &transfer(id)).await;
                assert_eq!(reply.outcome(), "applied", "{}", reply.text);
                match reply.json["replayed"] == true {
                    true => replayed += 1,
                    false => applied += 1,
                }
            }
            (applied, replayed)
        });
    }
    let each = senders.join_all().await;
    each.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_thousand_ids_sent_twice_are_applied_once() {
    let server = TestServer::configured(|config| {
        config.server.request_timeout.0 = Duration::from_secs(20);
        config.queue.max_wait.0 = Duration::from_secs(20);
        config.queue.target_wait.0 = Duration::from_secs(20);
    })
    .await;
    server.accounts(12).await;
    assert_eq!(send_all(server.client, 1000, 1).await, (1000, 0));
    assert_eq!(send_all(server.client, 1000, 7).await, (0, 1000));
    let database = &server.database;
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, 1000);
    database.assert_consistent().await;
    database.assert_no_deadlock().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_given_the_same_ids_at_once_apply_each_once() {
    let database = TestDatabase::new().await;
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let one = ServerProcess::start(program, &database).await;
    let two = ServerProcess::start(program, &database).await;
    let accounts: Vec<_> = (1..=12).map(|id| json!({"id": id})).collect();
    assert_eq!(one.client.post("/accounts", &json!(accounts)).await.status, 200);
    let (first, second) =
        tokio::join!(send_all(one.client, 1000, 1), send_all(two.client, 1000, 3));
    assert_eq!((first.0 + second.0, first.1 + second.1), (1000, 1000));
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, 1000);
    assert_eq!(database.number("SELECT count(DISTINCT server) FROM giro.batches").await, 2);
    database.assert_consistent().await;
    database.assert_no_deadlock().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_with_two_contents_on_two_servers_has_one_answer() {
    // Different accounts, so no row lock puts the two in order: only the id does.
    let database = TestDatabase::new().await;
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let one = ServerProcess::start(program, &database).await;
    let two = ServerProcess::start(program, &database).await;
    let poor = json!({"id": 3, "flags": ["debits_must_not_exceed_credits"]});
    let accounts = json!([{"id": 1}, {"id": 2}, poor, {"id": 4}]);
    assert_eq!(one.client.post("/accounts", &accounts).await.status, 200);
    let mut winners = [0, 0];
    for id in 1..=200 {
        let good = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        let bad = json!({"id": id, "debit_account": 3, "credit_account": 4, "amount": 1});
        let (good, bad) =
            tokio::join!(one.client.post("/transfer", &good), two.client.post("/transfer", &bad));
        match (good.outcome(), bad.reason()) {
            ("applied", "exists_with_different_debit_account") => winners[0] += 1,
            ("rejected", "exceeds_credits") => {
                assert_eq!(good.reason(), "exceeds_credits", "burnt for every content");
                winners[1] += 1;
            }
            other => panic!("{other:?}: {} {}", good.text, bad.text),
        }
    }
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, winners[0]);
    assert_eq!(database.number("SELECT count(*) FROM giro.rejections").await, winners[1]);
    // Or the two never met, and nothing was shown.
    let metrics = [one.admin.get("/metrics").await.text, two.admin.get("/metrics").await.text];
    let met = metrics
        .iter()
        .any(|text| text.contains("giro_db_errors_total{severity=\"ERROR\",sqlstate=\"23505\"}"));
    assert!(met, "no id was decided by the other server in between");
    database.assert_consistent().await;
    database.assert_no_deadlock().await;
}

/// Sends every id in batches of 100, in an order of its own and from one account to the next, each batch when
/// the other writer sends one; a call that met the other's is made again. How many were applied, and how often
/// it met the other.
async fn write_all(
    database: &TestDatabase,
    ids: Vec<u64>,
    debit: u64,
    together: &Barrier,
) -> (usize, usize) {
    let session = connect(&database.server_url).await;
    let (mut applied, mut met) = (0, 0);
    for batch in ids.chunks(100) {
        let transfer = |id| {
            let credit = debit + 1;
            json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": 1})
        };
        let requests: Vec<_> =
            batch.iter().map(|id| vec![direct::transfer(transfer(id))]).collect();
        together.wait().await;
        let answers = loop {
            match direct::apply(&session, &requests).await {
                Ok(answers) => break answers,
                Err(error) => {
                    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error}");
                    met += 1;
                }
            }
        };
        for answer in answers {
            match answer.as_str() {
                "applied" => applied += 1,
                "exists_with_different_debit_account" => {}
                other => panic!("{other}"),
            }
        }
    }
    (applied, met)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_the_same_ids_in_other_orders_never_wait_in_a_circle() {
    const IDS: u64 = 6000;
    let server = TestServer::start().await;
    server.accounts(4).await;
    let database = &server.database;
    // The same ids at about the same time: of every 300 the one begins with the first, the other with the
    // last. No account is in both, so that they meet at the ids alone.
    let ascending: Vec<u64> = (1..=IDS).collect();
    let descending = ascending.chunks(300).flat_map(|part| part.iter().rev().copied()).collect();
    let together = Barrier::new(2);
    let (one, two) = tokio::join!(
        write_all(database, ascending, 1, &together),
        write_all(database, descending, 3, &together)
    );
    assert_eq!(one.0 + two.0, IDS as usize, "each applied once, by one or the other");
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, IDS as i64);
    assert!(one.1 + two.1 > 0, "the two have never met");
    database.assert_no_deadlock().await;
    database.assert_consistent().await;
}
