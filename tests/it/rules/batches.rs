//! Chains and batches: sizes, and what the batcher must not do.

use super::{Ledger, answer, linked, transfer, transfers};
use serde_json::json;

#[tokio::test]
async fn chains_of_one_item_to_a_full_batch_are_applied_and_undone_as_a_whole() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    let mut applied = 0;
    for len in [1, 2, 10, 999, 1000] {
        let first = len * 10_000;
        let mut chain = transfers(first..first + len);
        chain[len as usize - 1]["debit_account"] = json!(98);
        let mut expected = vec!["linked_event_failed"; len as usize];
        expected[len as usize - 1] = "debit_account_not_found";
        assert_eq!(ledger.apply(linked(chain)).await, expected, "{len}");
        let chain = linked(transfers(first + len..first + 2 * len));
        assert_eq!(ledger.apply(chain.clone()).await, vec!["applied"; len as usize]);
        assert_eq!(ledger.apply(chain).await, vec!["=applied"; len as usize]);
        applied += u128::from(len);
    }
    assert_eq!(ledger.balances(1).await, [0, applied, 0, 0]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_never_span_requests_and_the_batcher_never_splits_one() {
    let ledger = Ledger::configured(|config| {
        config.batch.max_items = 4;
        config.batch.in_flight = 1;
        config.server.request_timeout.0 = std::time::Duration::from_secs(20);
        config.queue.max_wait.0 = std::time::Duration::from_secs(20);
        config.queue.target_wait.0 = std::time::Duration::from_secs(20);
    })
    .await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    // Three batches are made of what has gathered behind a lock; an open chain comes before each chain.
    let holder = ledger.server.database.superuser().await;
    holder.batch_execute("BEGIN; SELECT FROM giro.account_state FOR UPDATE").await.unwrap();
    let client = ledger.server.client;
    let requests = (1..=6).map(|n| match n % 2 {
        1 => json!([transfer(n * 10, json!({"flags": ["linked"]}))]),
        _ => linked(transfers(n * 10..n * 10 + 3)),
    });
    let sent: Vec<_> = requests
        .map(|request| tokio::spawn(async move { client.post("/transfers", &request).await }))
        .collect();
    giro_tests::eventually("all are queued", async || {
        ledger.server.metric(r#"giro_queue_items{batcher="transfers"}"#).await >= 8.0
    })
    .await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    for (n, reply) in (1..).zip(sent) {
        let reply = reply.await.unwrap();
        match n % 2 {
            1 => assert_eq!(answer(&reply.json[0]), "linked_event_chain_open"),
            _ => assert_eq!(super::answers(&reply), ["applied"; 3]),
        }
    }
    // Each chain in one batch, whatever came with it.
    let split = "SELECT count(*) FROM (SELECT left(right(id::text, 2), 1) FROM giro.transfers
                  GROUP BY 1 HAVING count(DISTINCT batch_id) > 1) AS split";
    assert_eq!(ledger.server.database.number(split).await, 0);
    assert_eq!(ledger.server.database.number("SELECT count(*) FROM giro.transfers").await, 9);
    ledger.server.database.assert_consistent().await;
}
