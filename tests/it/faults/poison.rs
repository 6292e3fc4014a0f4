//! One transfer that the database will not have, and one id many times, in a batch of many callers.

use super::{lock_account, patient, post_within};
use giro_tests::{Reply, TestServer, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

const N: u64 = 64;
const RAISED: &str = r#"giro_db_errors_total{severity="ERROR",sqlstate="23514"}"#;

/// A server whose only batch in flight waits for a lock, so that all that comes now is one batch.
struct Gathering {
    server: TestServer,
    holder: tokio_postgres::Client,
    first: JoinHandle<Reply>,
}

fn request(id: u64) -> Value {
    json!({"id": id, "debit_account": 3, "credit_account": 4, "amount": 1})
}

impl Gathering {
    async fn new() -> Self {
        let server = TestServer::configured(|config| {
            patient(config);
            config.batch.in_flight = 1;
            config.database.statement_timeout.0 = Duration::from_secs(9);
            config.database.lock_timeout.0 = Duration::from_secs(9);
        })
        .await;
        server.accounts(4).await;
        let holder = lock_account(&server, 1).await;
        let first = json!({"id": 1_000_000, "debit_account": 1, "credit_account": 2, "amount": 1});
        let first = tokio::spawn(post(server.client, first));
        let gathering = Self { server, holder, first };
        gathering.gauge("giro_batches_in_flight", 1.0).await;
        gathering
    }

    /// Sends these in one batch; each with its answer, in any order.
    async fn send(self, requests: Vec<Value>) -> (TestServer, Vec<(Value, Reply)>) {
        let mut sent = JoinSet::new();
        let count = requests.len();
        for request in requests {
            let answer = post(self.server.client, request.clone());
            sent.spawn(async move { (request, answer.await) });
        }
        self.gauge("giro_queue_items", count as f64).await;
        self.holder.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(self.first.await.unwrap().outcome(), "applied");
        (self.server, sent.join_all().await)
    }

    async fn gauge(&self, name: &str, value: f64) {
        let metric = format!(r#"{name}{{batcher="transfers"}}"#);
        eventually(name, async || self.server.metric(&metric).await == value).await;
    }
}

async fn post(client: giro_tests::Client, request: Value) -> Reply {
    post_within(client, Duration::from_secs(20), &request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_transfer_that_raises_is_found_and_all_others_of_its_batch_are_applied() {
    const CULPRIT: u64 = 23;
    let gathering = Gathering::new().await;
    let raise = "ALTER TABLE giro.decisions ADD CONSTRAINT refuses
                 CHECK (id <> '00000000-0000-0000-0000-000000000017')";
    gathering.server.database.superuser().await.batch_execute(raise).await.unwrap();
    let (server, answers) = gathering.send((1..=N).map(request).collect()).await;
    for (request, reply) in answers {
        if request["id"] == CULPRIT {
            assert_eq!(
                (reply.status.as_u16(), reply.outcome(), reply.reason()),
                (422, "rejected", "refused_by_database"),
                "{}",
                reply.text
            );
        } else {
            assert_eq!(reply.outcome(), "applied", "{request}: {}", reply.text);
        }
    }
    // The batch, and at most two halves of each size down to the culprit alone.
    let raised = server.metric(RAISED).await;
    let committed = "SELECT count(*) FROM giro.batches WHERE kind = 'transfers' AND items > 0";
    let committed = server.database.number(committed).await - 1;
    println!("{raised} calls raised, {committed} were committed");
    let most = 1.0 + 2.0 * (N as f64).log2() + 1.0;
    assert!(raised + committed as f64 <= most, "{raised} calls raised, {committed} committed");
    assert!(raised >= 2.0, "the culprit was in no batch with others");

    // Not recorded: without the constraint it passes.
    let stored = "SELECT count(*) FROM giro.decisions";
    assert_eq!(
        server.database.number(stored).await,
        N as i64,
        "all but the culprit, and the first"
    );
    let superuser = server.database.superuser().await;
    superuser.batch_execute("ALTER TABLE giro.decisions DROP CONSTRAINT refuses").await.unwrap();
    assert_eq!(server.client.post("/transfer", &request(CULPRIT)).await.outcome(), "applied");
    assert_eq!(server.admin.get("/readyz").await.status, 200, "one bad transfer is no outage");
    server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_many_times_in_a_batch_is_applied_once_and_all_are_told_so() {
    let mut other = request(1);
    other["amount"] = json!(2);
    let requests = [vec![request(1); 20], vec![other; 5]].concat();
    let (server, answers) = Gathering::new().await.send(requests).await;
    let stored = server.client.get("/transfers/1").await;
    let (mut first, mut replays, mut refused) = (0, 0, 0);
    for (request, reply) in answers {
        let amount = stored.json["amount"].as_str().and_then(|amount| amount.parse().ok());
        let same = amount == request["amount"].as_u64();
        match (same, reply.outcome(), reply.json["replayed"] == true) {
            (true, "applied", false) => first += 1,
            (true, "applied", true) => replays += 1,
            (false, "rejected", _) => {
                assert_eq!(reply.reason(), "exists_with_different_amount");
                refused += 1;
            }
            _ => panic!("{request}: {}", reply.text),
        }
    }
    assert_eq!(first, 1);
    assert!((replays, refused) == (19, 5) || (replays, refused) == (4, 20));
    server.database.assert_consistent().await;
}
