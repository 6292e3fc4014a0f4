//! One id many times in a batch of many callers.

use super::{lock_account, patient, post_within};
use giro_tests::{Reply, TestServer, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

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
