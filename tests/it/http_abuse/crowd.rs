//! A thousand slow sockets, and honest callers beside them.

use super::wire::{self, HEADERS, PREFACE, SETTINGS, Socket, frame, gauge, peak_memory_mib};
use giro_tests::{Client, ServerProcess, TestDatabase, eventually};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

const SLOW: usize = 1000;
/// Header, body and idle time-out of the server.
const LIMIT: &str = "3s";
/// Sockets may take that long altogether; a body follows a header, and this machine may be busy.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// What a slow socket starts with, and what it then sends a byte a second of.
fn kinds() -> Vec<(Vec<u8>, &'static [u8])> {
    let body = "transfer-encoding: chunked\r\n";
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let half_block = frame(HEADERS, 0, 1, &wire::post_transfer());
    let endless_stream = frame(HEADERS, wire::END_HEADERS, 1, &wire::post_transfer());
    vec![
        (vec![], b""),
        (b"POST /tran".to_vec(), b""),
        (b"POST /transfer HTTP/1.1\r\nhost: x\r\nx: ".to_vec(), b"y"),
        (wire::post("/transfer", "content-length: 100\r\n", "{").into(), b" "),
        (wire::post("/transfer", body, "ffff\r\n{").into(), b" "),
        (PREFACE[..9].to_vec(), b""),
        (PREFACE.to_vec(), b""),
        ([&settings[..], &half_block[..20]].concat(), b""),
        ([&settings[..], &half_block].concat(), b"\x00"),
        ([&settings[..], &endless_stream].concat(), b""),
    ]
}

/// Holds a socket open for as long as the server lets it.
async fn slow(address: SocketAddr, (start, trickle): (Vec<u8>, &'static [u8])) -> Duration {
    let mut socket = Socket::open(address).await;
    let opened = Instant::now();
    socket.send(&start).await;
    let mut second = interval(Duration::from_secs(1));
    let mut answer = [0; 4096];
    loop {
        tokio::select! {
            read = socket.stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => return opened.elapsed(),
                Ok(_) => {}
            },
            // The server may have closed meanwhile; reading tells.
            _ = second.tick() => drop(socket.try_send(trickle).await),
        }
    }
}

/// Eight callers, each with a connection that it keeps; every answer has to be 200.
async fn honest(client: Client, first_id: u64) -> Vec<Duration> {
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        callers.spawn(async move {
            let mut connection = client.connect().await.unwrap();
            let mut took = Vec::new();
            for n in 0..100 {
                let id = first_id + caller * 1000 + n;
                let transfer =
                    json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
                let sent = Instant::now();
                let reply = connection.post("/transfer", &transfer).await.unwrap();
                assert_eq!(reply.status, 200, "{}", reply.text);
                took.push(sent.elapsed());
            }
            took
        });
    }
    let mut all = callers.join_all().await.concat();
    all.sort();
    all
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_sockets_are_closed_and_do_not_reach_honest_callers() {
    let database = TestDatabase::new().await;
    let limits = [
        ("DATABASE_URL", database.server_url.as_str()),
        ("GIRO__SERVER__HEADER_TIMEOUT", LIMIT),
        ("GIRO__SERVER__BODY_TIMEOUT", LIMIT),
        ("GIRO__SERVER__IDLE_TIMEOUT", LIMIT),
    ];
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = ServerProcess::run(program, &["serve"], &limits).await;
    let accounts = json!([{"id": 1}, {"id": 2}]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    let alone = honest(server.client, 100_000).await;
    let memory = peak_memory_mib(&server);

    let mut crowd = JoinSet::new();
    for kind in kinds().into_iter().cycle().take(SLOW) {
        let address = server.client.address();
        crowd.spawn(async move {
            let closed = timeout(wire::PATIENCE, slow(address, kind.clone())).await;
            closed.unwrap_or_else(|_| panic!("never closed: {}", String::from_utf8_lossy(&kind.0)))
        });
    }
    let connections = async || gauge(&server, "giro_http_connections").await;
    eventually("the crowd is there", async || connections().await > SLOW as f64 * 0.9).await;
    let beside = honest(server.client, 200_000).await;
    let longest = crowd.join_all().await.into_iter().max().expect("a socket");

    eprintln!(
        "p99 alone {:?}, beside {SLOW} slow sockets {:?}; closed within {longest:?}; {memory} MiB, then {}",
        p99(&alone),
        p99(&beside),
        peak_memory_mib(&server),
    );
    assert!(longest < CLOSED_WITHIN, "{longest:?}");
    assert!(p99(&beside) < p99(&alone) * 20 + Duration::from_secs(1));
    assert!(peak_memory_mib(&server) < memory + 64);
    eventually("all are gone", async || connections().await == 0.0).await;
    assert_eq!(gauge(&server, r#"giro_queue_items{batcher="transfers"}"#).await, 0.0);
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, 1600);
}
