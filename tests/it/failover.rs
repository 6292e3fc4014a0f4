use giro_tests::standby::Replication;
use giro_tests::{Pair, TestServer, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

/// Sends transfers with ids `from..from + count`, all of which have to be applied.
async fn apply(server: &TestServer, from: u64, count: u64) {
    for id in from..from + count {
        let transfer = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        let reply = server.client.post("/transfer", &transfer).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

#[tokio::test]
async fn a_promoted_standby_serves_and_has_what_was_acknowledged() {
    let mut pair = Pair::start(Replication::Synchronous).await;
    let server = TestServer::on(pair.database().await, |_| {}).await;
    server.accounts(2).await;
    apply(&server, 1, 50).await;

    pair.primary.kill();
    pair.standby.promote().unwrap();
    let promoted = Instant::now();
    let next = json!({"id": 51, "debit_account": 1, "credit_account": 2, "amount": 1});
    eventually("a transfer is applied on the promoted standby", async || {
        server.client.post("/transfer", &next).await.status == 200
    })
    .await;
    let first = promoted.elapsed();
    println!("first 200 after the promotion: {first:?}");
    assert!(first < Duration::from_secs(10), "{first:?}");

    let applied = server.database.number("SELECT count(*) FROM giro.transfers").await;
    assert_eq!(applied, 51, "an acknowledged transfer is lost");
    server.database.assert_consistent().await;
    server.stop().await;
}
