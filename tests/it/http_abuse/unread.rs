//! Clients that never read.

use super::wire::{END_HEADERS, END_STREAM, HEADERS, Socket, frame, get, is_at_rest};
use giro_tests::{TestServer, eventually};
use std::time::Duration;
use tokio::net::TcpSocket;

/// A server with a listing of some hundred kilobytes.
async fn server() -> TestServer {
    let server = TestServer::configured(|config| {
        config.server.write_timeout.0 = Duration::from_millis(500);
    })
    .await;
    server.accounts(1000).await;
    server
}

#[tokio::test]
async fn a_reply_that_nobody_reads_ends_its_connection() {
    let server = server().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address()).await.unwrap();
    let mut socket = Socket { stream };
    // More than the kernel's buffers hold.
    let request = "GET /accounts?limit=1000 HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.send(request.repeat(50).as_bytes()).await;
    eventually("a request is served", async || {
        let served = r#"giro_http_requests_total{route="/accounts",status="200"}"#;
        server.metric(served).await > 0.0
    })
    .await;
    is_at_rest(&server).await;
    let request = r#"giro_http_requests_total{route="/accounts",status="200"}"#;
    assert!(server.metric(request).await < 50.0, "all of them fitted into the buffers");
}

#[tokio::test]
async fn a_stream_without_a_window_ends_its_connection() {
    let server = server().await;
    const INITIAL_WINDOW_SIZE_0: [u8; 6] = [0, 4, 0, 0, 0, 0];
    let mut socket = Socket::http2(server.address(), &INITIAL_WINDOW_SIZE_0).await;
    let open = END_HEADERS | END_STREAM;
    socket.send(&frame(HEADERS, open, 1, &get("/accounts?limit=1000"))).await;
    socket.until_closed().await;
    is_at_rest(&server).await;

    // A window of one byte lets the whole reply into the queue, and one byte out of it.
    const INITIAL_WINDOW_SIZE_1: [u8; 6] = [0, 4, 0, 0, 0, 1];
    let mut socket = Socket::http2(server.address(), &INITIAL_WINDOW_SIZE_1).await;
    socket.send(&frame(HEADERS, open, 1, &get("/accounts?limit=1000"))).await;
    socket.until_closed().await;
    is_at_rest(&server).await;
}
