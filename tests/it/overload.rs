//! A shed request never ran, and every wait ends.

use crate::stalled::{Stalled, patient, transfer};
use giro_tests::{TestServer, eventually};
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_full_queue_sheds_and_a_shed_id_is_absent() {
    let stalled = Stalled::new().await;
    let queued: Vec<_> = (1..=4).map(|id| stalled.post(id)).collect();
    stalled.queued(4.0).await;
    let client = stalled.server.client;
    let shed = client.post("/transfer", &transfer(5)).await;
    assert_eq!((shed.status.as_u16(), shed.outcome()), (503, "not_applied"), "{}", shed.text);
    assert_eq!((shed.reason(), shed.header("retry-after")), ("queue_full", "1"));
    let array = json!([transfer(6), transfer(7)]);
    assert_eq!(client.post("/transfers", &array).await.reason(), "queue_full");
    stalled.go_on().await;
    for sent in stalled.in_flight.into_iter().chain(queued) {
        let reply = sent.await.unwrap();
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    }
    let database = &stalled.server.database;
    let ids =
        "SELECT count(*) FROM giro.decisions WHERE id::text LIKE '%0005' OR id::text LIKE '%0006'";
    assert_eq!(database.number(ids).await, 0, "what was shed is not there");
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, 6);
    let shed = r#"giro_shed_total{batcher="transfers",reason="queue_full"}"#;
    assert_eq!(stalled.server.metric(shed).await, 2.0);
}

#[tokio::test]
async fn a_caller_that_leaves_while_queued_frees_its_place() {
    let stalled = Stalled::new().await;
    let body = transfer(1).to_string();
    let mut leaving = TcpStream::connect(stalled.server.address()).await.unwrap();
    let head = format!(
        "POST /transfer HTTP/1.1\r\nhost: giro\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    leaving.write_all(head.as_bytes()).await.unwrap();
    stalled.queued(1.0).await;
    drop(leaving);
    stalled.queued(0.0).await;
    assert_eq!(stalled.server.metric(r#"giro_abandoned_total{batcher="transfers"}"#).await, 1.0);
    stalled.go_on().await;
    for sent in stalled.in_flight {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
    let left = "SELECT count(*) FROM giro.decisions WHERE id::text LIKE '%0001'";
    assert_eq!(stalled.server.database.number(left).await, 0);
}

#[tokio::test]
async fn a_deadline_in_the_queue_is_503_and_one_in_flight_is_504() {
    let stalled = Stalled::new().await;
    let headers = [("request-timeout-ms", "300")];
    let client = stalled.server.client;
    let late = client.post_with("/transfer", &headers, &transfer(1).to_string()).await.unwrap();
    assert_eq!((late.status.as_u16(), late.outcome()), (503, "not_applied"), "{}", late.text);
    assert_eq!((late.reason(), late.header("retry-after")), ("deadline", "1"));
    stalled.go_on().await;
    for sent in stalled.in_flight {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }

    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    stalled.holder.batch_execute(lock).await.unwrap();
    let sent = client.post_with("/transfer", &headers, &transfer(2).to_string()).await.unwrap();
    assert_eq!((sent.status.as_u16(), sent.outcome()), (504, "unknown"), "{}", sent.text);
    stalled.holder.batch_execute("ROLLBACK").await.unwrap();
    // The same id again tells what became of it.
    let again = client.post("/transfer", &transfer(2)).await;
    assert_eq!(again.outcome(), "applied", "{}", again.text);
    let database = &stalled.server.database;
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, 3);
    database.assert_consistent().await;
}

#[tokio::test]
async fn nobody_waits_in_the_queue_longer_than_it_allows() {
    let server = TestServer::configured(|config| {
        patient(config);
        config.queue.max_wait.0 = Duration::from_millis(300);
        config.queue.target_wait.0 = Duration::from_millis(300);
    })
    .await;
    server.accounts(2).await;
    let holder = server.database.superuser().await;
    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    holder.batch_execute(lock).await.unwrap();
    let client = server.client;
    let sent = |id| tokio::spawn(async move { client.post("/transfer", &transfer(id)).await });
    let mut in_flight = Vec::new();
    for id in [1, 2] {
        in_flight.push(sent(id));
        eventually("in flight", async || {
            let metric = r#"giro_batches_in_flight{batcher="transfers"}"#;
            server.metric(metric).await == id as f64
        })
        .await;
    }
    let delayed = client.post("/transfer", &transfer(3)).await;
    assert_eq!((delayed.status.as_u16(), delayed.reason()), (503, "queue_delay"));
    holder.batch_execute("ROLLBACK").await.unwrap();
    for sent in in_flight {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
}

#[tokio::test]
async fn a_client_that_holds_nearly_all_of_the_queue_is_told_so_and_a_modest_one_gets_in() {
    let stalled = Stalled::configured(|config| {
        config.batch.max_items = 12;
        config.queue.max_items = 12;
        config.server.client_header = Some("x-client".into());
    })
    .await;
    let client = stalled.server.client;
    let post = |name: &'static str, id| async move {
        let body = transfer(id).to_string();
        client.post_with("/transfer", &[("x-client", name)], &body).await.unwrap()
    };
    let mut queued = vec![tokio::spawn(post("modest", 1))];
    queued.extend((2..=11).map(|id| tokio::spawn(post("hog", id))));
    stalled.queued(11.0).await;
    let refused = post("hog", 12).await;
    let told = (refused.status.as_u16(), refused.outcome(), refused.reason());
    assert_eq!(told, (429, "not_applied", "client_share"), "{}", refused.text);
    assert!(refused.json["retry_after_ms"].is_u64() && !refused.header("retry-after").is_empty());
    queued.push(tokio::spawn(post("modest", 13)));
    stalled.queued(12.0).await;
    let shed = r#"giro_shed_total{batcher="transfers",reason="client_share"}"#;
    assert_eq!(stalled.server.metric(shed).await, 1.0);
    stalled.go_on().await;
    for sent in stalled.in_flight.into_iter().chain(queued) {
        let reply = sent.await.unwrap();
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    }
}
