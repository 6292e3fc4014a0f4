//! Bodies that are huge, endless, packed, deep or odd.

use super::wire::{Socket, is_at_rest, peak_memory_mib, post};
use giro_tests::{Reply, ServerProcess, TestDatabase, TestServer, eventually};
use serde_json::json;
use tokio::task::JoinSet;

const MIB: usize = 1 << 20;

async fn refused(server: &TestServer, headers: &[(&str, &str)], body: &str, status: u16) -> Reply {
    let reply = server.client.post_with("/transfer", headers, body).await.unwrap();
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.outcome(), "not_applied");
    reply
}

#[tokio::test]
async fn a_body_without_end_is_refused_when_it_is_too_large() {
    let server = TestServer::start().await;
    let mut socket = Socket::open(server.address()).await;
    socket.send(post("/transfer", "transfer-encoding: chunked\r\n", "").as_bytes()).await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
    let mut sent = 0;
    while sent < 100 * MIB && socket.try_send(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 100 * MIB, "it was read for ever");
    is_at_rest(&server).await;
    let status = r#"giro_http_requests_total{route="/transfer",status="413"}"#;
    assert_eq!(server.metric(status).await, 1.0);
}

#[tokio::test]
async fn a_packed_body_is_refused_unread() {
    let server = TestServer::start().await;
    for coding in ["gzip", "br", "deflate, gzip"] {
        let reply = refused(&server, &[("content-encoding", coding)], "{}", 415).await;
        assert!(reply.text.contains("Content-Encoding"), "{}", reply.text);
    }
    refused(&server, &[("content-encoding", "identity")], "{}", 400).await;
}

#[tokio::test]
async fn deep_and_double_json_is_refused() {
    let server = TestServer::start().await;
    let deep = 30_000;
    let deep_arrays = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let deep_objects = format!("{}1{}", r#"{"k":"#.repeat(deep / 3), "}".repeat(deep / 3));
    let transfer =
        |more: &str| format!(r#"{{"debit_account":1,"credit_account":2,"amount":1{more}}}"#);
    for body in [
        deep_arrays.clone(),
        deep_objects.clone(),
        transfer(&format!(r#","metadata":{deep_objects}"#)),
        transfer(&format!(r#","unknown":{deep_arrays}"#)),
        transfer(r#","amount":2"#),
        transfer(r#","debit_account":3"#),
        transfer(&format!(r#","reference":{}"#, "9".repeat(10_000))),
        transfer(&format!(r#","metadata":{{"k":{}}}"#, "9".repeat(10_000))),
        "[".repeat(deep),
        "\u{feff}{}".to_owned(),
    ] {
        refused(&server, &[], &body, 400).await;
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
}

/// Sends all of a large array but its last byte, and stays.
async fn almost(server: &TestServer, client: &str, count: usize) -> Vec<Socket> {
    let length = format!("x-client: {client}\r\ncontent-length: {MIB}\r\n");
    let body = format!("[{}", " ".repeat(MIB - 2));
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = Socket::open(server.address()).await;
        let _ = socket.try_send(post("/transfers", &length, &body).as_bytes()).await;
        sockets.push(socket);
    }
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_does_not_fill_the_room_for_bodies() {
    let server = TestServer::configured(|config| {
        config.server.client_header = Some("x-client".into());
        config.server.body_timeout.0 = std::time::Duration::from_secs(30);
        config.queue.max_bytes = bytesize::ByteSize::mib(8);
    })
    .await;
    let _held = almost(&server, "greedy", 20).await;
    // Of 8 MiB it may hold 6.4.
    let refused = async || {
        let mut statuses = 0.0;
        for status in [429, 503] {
            let metric =
                format!(r#"giro_http_requests_total{{route="/transfers",status="{status}"}}"#);
            statuses += server.metric(&metric).await;
        }
        statuses
    };
    eventually("what is beyond its share is refused", async || refused().await >= 13.0).await;
    let accounts: Vec<_> = (1..=1000).map(|id| json!({ "id": id })).collect();
    let headers = [("x-client", "modest")];
    let body = json!(accounts).to_string();
    let reply = server.client.post_with("/accounts", &headers, &body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_large_bodies_is_held_within_bounds() {
    let database = TestDatabase::new().await;
    let limits =
        [("DATABASE_URL", database.server_url.as_str()), ("GIRO__SERVER__BODY_TIMEOUT", "2s")];
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = ServerProcess::run(program, &["serve"], &limits).await;
    let before = peak_memory_mib(&server);
    let address = server.client.address();
    let mut flood = JoinSet::new();
    for _ in 0..200 {
        flood.spawn(async move {
            let mut socket = Socket::open(address).await;
            let length = format!("content-length: {MIB}\r\n");
            let body = format!("[{}", " ".repeat(MIB - 2));
            let _ = socket.try_send(post("/transfers", &length, &body).as_bytes()).await;
            socket.until_closed().await;
        });
    }
    let while_flooded = server.client.post("/account", &json!({"id": 1})).await;
    flood.join_all().await;
    let after = peak_memory_mib(&server);
    eprintln!("200 bodies of a MiB: {before} MiB, then {after}");
    assert!(after < before + 64, "{before} MiB, then {after}");
    assert!([200, 429, 503].contains(&while_flooded.status.as_u16()), "{}", while_flooded.text);
    assert_eq!(server.client.post("/account", &json!({"id": 2})).await.status, 200);
}
