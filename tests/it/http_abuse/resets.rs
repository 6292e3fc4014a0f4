//! Requests that are taken back.

use super::wire::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Socket, frame, is_at_rest,
    post_transfer,
};
use crate::stalled::{Stalled, transfer};
use giro_tests::TestServer;
use serde_json::json;
use tokio::io::AsyncWriteExt;

const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// A whole `POST /transfer`.
fn request(stream: u32, id: u64) -> Vec<u8> {
    let body = transfer(id).to_string();
    let head = frame(HEADERS, END_HEADERS, stream, &post_transfer());
    [head, frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

#[tokio::test]
async fn a_stream_that_is_reset_gives_its_place_back() {
    let stalled = Stalled::new().await;
    let mut socket = Socket::http2(stalled.server.address(), &[]).await;
    for stream in [1, 3, 5] {
        socket.send(&request(stream, u64::from(stream))).await;
    }
    stalled.queued(3.0).await;
    socket.send(&frame(RST_STREAM, 0, 3, &CANCEL)).await;
    stalled.queued(2.0).await;
    drop(socket);
    stalled.queued(0.0).await;
    let abandoned = r#"giro_abandoned_total{batcher="transfers"}"#;
    assert_eq!(stalled.server.metric(abandoned).await, 3.0);
    stalled.go_on().await;
    is_at_rest(&stalled.server).await;
    assert_eq!(stalled.server.database.number("SELECT count(*) FROM giro.transfers").await, 2);
}

#[tokio::test]
async fn a_caller_that_closes_its_half_gives_its_place_back() {
    let stalled = Stalled::new().await;
    let mut socket = Socket::open(stalled.server.address()).await;
    let body = transfer(1).to_string();
    let length = format!("content-length: {}\r\n", body.len());
    socket.send(super::wire::post("/transfer", &length, &body).as_bytes()).await;
    stalled.queued(1.0).await;
    socket.stream.shutdown().await.unwrap();
    stalled.queued(0.0).await;
    assert_eq!(socket.until_closed().await, b"");
    stalled.go_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_ends_its_connection_and_reaches_nobody() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let mut floods = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut socket = Socket::http2(server.address(), &[]).await;
        floods.spawn(async move {
            let mut sent = 0;
            for stream in (1..200_000).step_by(2) {
                let open = frame(HEADERS, END_HEADERS, stream, &post_transfer());
                let reset = frame(RST_STREAM, 0, stream, &CANCEL);
                if socket.try_send(&[open, reset].concat()).await.is_err() {
                    break;
                }
                sent += 1;
            }
            socket.until_closed().await;
            sent
        });
    }
    for id in 1..=50 {
        let body = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        assert_eq!(server.client.post("/transfer", &body).await.status, 200);
    }
    for sent in floods.join_all().await {
        assert!(sent < 100_000, "the connection was open to the end");
    }
    is_at_rest(&server).await;
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn requests_taken_back_one_by_one_are_counted_as_well() {
    let server = TestServer::start().await;
    let mut socket = Socket::http2(server.address(), &[]).await;
    let mut taken_back = 0;
    for stream in (1..200_000).step_by(2) {
        let open = frame(HEADERS, END_HEADERS, stream, &post_transfer());
        // Its answer says that the request has begun.
        let ping = frame(PING, 0, 0, &[0; 8]);
        if socket.try_send(&[open, ping].concat()).await.is_err() || socket.frame().await.is_none()
        {
            break;
        }
        if socket.try_send(&frame(RST_STREAM, 0, stream, &CANCEL)).await.is_err() {
            break;
        }
        taken_back += 1;
    }
    assert!((250..100_000).contains(&taken_back), "closed after {taken_back}");
    is_at_rest(&server).await;
}
