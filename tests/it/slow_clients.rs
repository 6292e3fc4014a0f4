//! A client that is slow, silent or many does not hold the server.

use giro_tests::TestServer;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn server() -> TestServer {
    TestServer::configured(|config| {
        config.server.header_timeout.0 = Duration::from_millis(300);
        config.server.body_timeout.0 = Duration::from_millis(300);
        config.server.idle_timeout.0 = Duration::from_millis(600);
        config.server.max_connections = 3;
    })
    .await
}

/// Sends the start of something, and returns what came back before the server closed.
async fn until_closed(server: &TestServer, start: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    // A reset is a close as well: there was something unread.
    assert!(closed.is_ok(), "never closed after {start:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_connections_are_closed() {
    let server = server().await;
    assert_eq!(until_closed(&server, "").await, "", "idle");
    assert_eq!(until_closed(&server, "POST /tran").await, "", "half a request line");
    assert_eq!(
        until_closed(&server, "POST /transfer HTTP/1.1\r\nhost: x\r\n").await,
        "",
        "half a header"
    );
    let stalled = "POST /transfer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   content-length: 100\r\n\r\n{";
    let answer = until_closed(&server, stalled).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"outcome\":\"not_applied\""), "{answer}");
    let endless = "POST /transfer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\n5\r\n{    \r\n";
    let answer = until_closed(&server, endless).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let served_then_idle = "GET /accounts/1 HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = until_closed(&server, served_then_idle).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let server = server().await;
    let announced = "POST /transfer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                     content-length: 5000000000\r\n\r\n";
    let answer = until_closed(&server, announced).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let header = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let answer = until_closed(&server, &header).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");
}

#[tokio::test]
async fn slow_clients_that_take_every_connection_lose_them() {
    let server = server().await;
    server.admin.get("/livez").await; // operators are not counted among them
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(b"POST /transfer HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(stream);
    }
    let account = json!({"id": 1});
    let served = timeout(Duration::from_secs(60), server.client.post("/account", &account));
    assert_eq!(served.await.expect("a place came free").status, 200);
    assert_eq!(server.admin.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn idle_connections_are_closed_sooner_when_they_keep_others_out() {
    let server = TestServer::configured(|config| {
        config.server.header_timeout.0 = Duration::from_millis(300);
        config.server.idle_timeout.0 = Duration::from_secs(3600);
        config.server.max_connections = 3;
    })
    .await;
    let account = json!({"id": 1});
    assert_eq!(server.client.post("/account", &account).await.status, 200);
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let served = timeout(Duration::from_secs(60), server.client.post("/account", &account));
    assert_eq!(served.await.expect("a place came free").status, 200);
}

#[tokio::test]
async fn more_connections_than_descriptors_are_refused_at_start() {
    let mut config = giro_server::Config::default();
    config.server.max_connections = 1 << 40;
    config.database.url = Some(giro_server::DatabaseUrl::from("postgresql://nobody@/".to_owned()));
    let error = giro_server::App::start(&config).await.err().expect("no room").to_string();
    assert!(error.contains("server.max_connections (1099511627776)"), "{error}");
    assert!(error.contains("ulimit -n"), "{error}");
}

#[tokio::test]
async fn bodies_that_are_announced_and_not_sent_hold_no_room() {
    let server = TestServer::configured(|config| {
        config.queue.max_bytes = bytesize::ByteSize::mib(1);
        config.server.body_timeout.0 = Duration::from_secs(30);
    })
    .await;
    let mut announced = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let head = "POST /transfers HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    content-length: 1048576\r\n\r\n[";
        stream.write_all(head.as_bytes()).await.unwrap();
        announced.push(stream);
    }
    giro_tests::eventually("all are being read", async || {
        server.metric("giro_http_connections").await >= 20.0
    })
    .await;
    let reply = server.client.post("/account", &json!({"id": 1})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}
