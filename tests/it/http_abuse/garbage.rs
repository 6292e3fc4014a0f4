//! What is not a request, or too much of one.

use super::wire::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING};
use super::wire::{Socket, frame, get, is_at_rest, post};
use giro_tests::TestServer;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

async fn answer(server: &TestServer, bytes: &[u8]) -> String {
    let mut socket = Socket::open(server.address()).await;
    // It may be closed before all is sent.
    let _ = socket.try_send(bytes).await;
    let _ = socket.stream.shutdown().await;
    String::from_utf8_lossy(&socket.until_closed().await).into_owned()
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_at_once() {
    let server = TestServer::start().await;
    let noise: Vec<u8> =
        (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n";
    for bytes in [
        &noise[..],
        tls_hello,
        b"\x00\x00\x00\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let answer = answer(&server, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    is_at_rest(&server).await;
}

#[tokio::test]
async fn a_flood_of_headers_is_431() {
    let server = TestServer::start().await;
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(15_000)).repeat(20);
    for headers in [many, large] {
        let mut socket = Socket::open(server.address()).await;
        let _ =
            socket.try_send(format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
        let answer = socket.until_closed().await;
        let answer = String::from_utf8_lossy(&answer);
        // What is unread may turn the close into a reset, which takes the answer with it.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    is_at_rest(&server).await;
}

#[tokio::test]
async fn where_a_request_ends_is_never_ambiguous() {
    let server = TestServer::start().await;
    let second = "GET /accounts/2 HTTP/1.1\r\nhost: x\r\n\r\n";
    for lengths in [
        "content-length: 6\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
    ] {
        let request = post("/transfer", lengths, &format!("2\r\n{{}}\r\n0\r\n\r\n{second}"));
        let mut socket = Socket::open(server.address()).await;
        socket.send(request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&socket.until_closed().await).into_owned();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    for lengths in [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: +2\r\n",
        "content-length: 99999999999999999999999\r\n",
        "transfer-encoding: chunked, gzip\r\n",
    ] {
        let request = post("/transfer", lengths, &format!("{{}}{second}"));
        let mut socket = Socket::open(server.address()).await;
        socket.send(request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&socket.until_closed().await).into_owned();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lengths}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{lengths}: {answer}");
    }
    let read = r#"giro_http_requests_total{route="/accounts/{id}",status="404"}"#;
    assert_eq!(server.metric(read).await, 0.0, "what followed was taken for a request");
}

#[tokio::test]
async fn a_flood_of_pipelined_requests_is_answered_in_order() {
    let server = TestServer::start().await;
    let mut socket = Socket::open(server.address()).await;
    let (mut read, mut write) = socket.stream.split();
    let flood = "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2999)
        + "GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answers = String::new();
    let (sent, received) = tokio::join!(
        write.write_all(flood.as_bytes()),
        tokio::io::AsyncReadExt::read_to_string(&mut read, &mut answers),
    );
    sent.unwrap();
    received.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 3000);
    assert!(answers.rfind("connection: close").is_some());
    is_at_rest(&server).await;
}

#[tokio::test]
async fn frames_that_break_the_rules_end_their_connection() {
    let server = TestServer::start().await;
    let block = get("/accounts/1");
    let whole = END_HEADERS | END_STREAM;
    for wrong in [
        frame(HEADERS, whole, 2, &block),      // streams of clients are odd
        frame(HEADERS, whole, 0, &block),      // and not 0
        frame(CONTINUATION, whole, 1, &block), // of nothing
        frame(HEADERS, whole, 1, b"\xff\xff\xff\xff\xff"), // no header block
        frame(PING, 0, 0, b"short"),
        [vec![0xff; 9], vec![0; 100]].concat(), // 16 MiB announced
        frame(HEADERS, END_STREAM, 1, &[]).into_iter().chain(frame(PING, 0, 0, &[0; 8])).collect(),
        // A header block without end: each part is small.
        std::iter::once(frame(HEADERS, END_STREAM, 1, &block))
            .chain(
                (0..2000).map(|_| frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(20))),
            )
            .flatten()
            .collect(),
    ] {
        let mut socket = Socket::http2(server.address(), &[]).await;
        let _ = socket.try_send(&wrong).await;
        socket.until_closed().await;
    }
    is_at_rest(&server).await;
}

#[tokio::test]
async fn a_header_list_that_is_too_large_is_not_served() {
    let server = TestServer::start().await;
    let mut block = get("/accounts/1");
    for _ in 0..200 {
        block.extend([&[0x00, 1, b'x', 120], &[b'y'; 120][..]].concat());
    }
    let (first, rest) = block.split_at(16_000);
    let mut socket = Socket::http2(server.address(), &[]).await;
    socket.send(&frame(HEADERS, END_STREAM, 1, first)).await;
    socket.send(&frame(CONTINUATION, END_HEADERS, 1, rest)).await;
    let refused = socket.frame().await.expect("a frame");
    assert_eq!(refused.stream, 1, "{refused:?}");
    drop(socket);
    is_at_rest(&server).await;
    let read = r#"giro_http_requests_total{route="/accounts/{id}",status="404"}"#;
    assert_eq!(server.metric(read).await, 0.0);
}

#[tokio::test]
async fn a_client_that_only_pings_is_idle() {
    let server = TestServer::configured(|config| {
        config.server.idle_timeout.0 = Duration::from_millis(600);
    })
    .await;
    let mut socket = Socket::http2(server.address(), &[]).await;
    let mut pings = 0;
    while socket.try_send(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {
        pings += 1;
        match socket.frame().await {
            Some(_) => tokio::task::yield_now().await,
            None => break,
        }
    }
    assert!(pings > 1, "closed at once");
    is_at_rest(&server).await;
}
