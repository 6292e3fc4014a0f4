//! HTTP/2 with prior knowledge, by those who behave and those who are slow.

use super::wire::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, SETTINGS,
    Socket, frame, is_at_rest, post_transfer,
};
use crate::stalled::{Stalled, transfer};
use bytes::Bytes;
use giro_server::Stopped;
use giro_tests::TestServer;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Sender = SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Sender {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(mut sender: Sender, path: &str, body: String) -> (u16, Value) {
    let uri = format!("http://giro{path}");
    let request = Request::post(uri).header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let reply = sender.send_request(request).await.unwrap();
    assert_eq!(reply.headers().get("connection"), None, "HTTP/2 has no such header");
    let status = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let sender = connect(server.address()).await;
    let mut sent = JoinSet::new();
    // More than may be under way at once: the rest waits for its turn at the client.
    for id in 1..=1000 {
        sent.spawn(send(sender.clone(), "/transfer", transfer(id).to_string()));
    }
    for (status, reply) in sent.join_all().await {
        assert_eq!((status, &reply["outcome"]), (200, &"applied".into()), "{reply}");
    }
    assert_eq!(server.metric("giro_http_connections").await, 1.0);
    let batches = server.metric(r#"giro_batch_items_count{batcher="transfers"}"#).await;
    assert!(batches < 500.0, "{batches} batches for 1000 transfers");
    let bulk = format!("[{}]", transfer(2000));
    assert_eq!(send(sender.clone(), "/transfers", bulk).await.0, 200);
    let large = " ".repeat(200_000);
    assert_eq!(send(sender.clone(), "/transfer", large).await.0, 413);
    assert_eq!(send(sender, "/transfer", "{".into()).await.0, 400);
    is_at_rest(&server).await;
}

#[tokio::test]
async fn a_stop_answers_the_streams_it_has_accepted() {
    let Stalled { server, holder, in_flight } = Stalled::new().await;
    let stalled = Stalled { server, holder, in_flight };
    let sender = connect(stalled.server.address()).await;
    let queued: Vec<_> = (1..=3)
        .map(|id| tokio::spawn(send(sender.clone(), "/transfer", transfer(id).to_string())))
        .collect();
    stalled.queued(3.0).await;
    let Stalled { server, holder, in_flight } = stalled;
    let mut idle = Socket::http2(server.address(), &[]).await;
    let stop = tokio::spawn(server.stop());
    holder.batch_execute("ROLLBACK").await.unwrap();
    for sent in queued {
        assert_eq!(sent.await.unwrap().0, 200);
    }
    for sent in in_flight {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
    drop(sender);
    let mut goodbyes = 0;
    while let Some(Frame { kind, .. }) = idle.frame().await {
        goodbyes += u32::from(kind == GOAWAY);
    }
    assert!(goodbyes > 0, "closed without a word");
    assert_eq!(stop.await.unwrap().0, Stopped::Drained);
}

#[tokio::test]
async fn the_server_says_what_it_takes() {
    let server = TestServer::start().await;
    let mut socket = Socket::open(server.address()).await;
    socket.send(PREFACE).await;
    socket.send(&frame(SETTINGS, 0, 0, &[])).await;
    let mut head = [0; 9];
    tokio::io::AsyncReadExt::read_exact(&mut socket.stream, &mut head).await.unwrap();
    assert_eq!(head[3], SETTINGS);
    let mut settings = vec![0; usize::from(head[2])];
    tokio::io::AsyncReadExt::read_exact(&mut socket.stream, &mut settings).await.unwrap();
    let settings: Vec<(u16, u32)> = settings
        .chunks(6)
        .map(|setting| {
            let [a, b, c, d, e, f] = setting.try_into().unwrap();
            (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
        })
        .collect();
    let (max_concurrent_streams, initial_window_size, max_header_list_size) = (3, 4, 6);
    for setting in [
        (max_concurrent_streams, 256),
        (initial_window_size, 65_536),
        (max_header_list_size, 16_384),
    ] {
        assert!(settings.contains(&setting), "{setting:?} is not in {settings:?}");
    }
}

#[tokio::test]
async fn slow_clients_of_http2_are_closed() {
    let server = TestServer::configured(|config| {
        config.server.header_timeout.0 = Duration::from_millis(300);
        config.server.body_timeout.0 = Duration::from_millis(300);
        config.server.idle_timeout.0 = Duration::from_secs(1);
    })
    .await;
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let begin = frame(HEADERS, END_STREAM, 1, &post_transfer());
    for (start, trickle) in [
        (PREFACE[..10].to_vec(), vec![]),
        (PREFACE.to_vec(), vec![]),
        ([&settings[..], &begin[..5]].concat(), vec![]),
        ([&settings[..], &begin[..20]].concat(), vec![]),
        ([&settings[..], &begin].concat(), vec![]),
        ([&settings[..], &begin].concat(), frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'])),
        // Complete, and then idle.
        (settings.clone(), vec![]),
    ] {
        let mut socket = Socket::open(server.address()).await;
        socket.send(&start).await;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let closed = async {
            while !trickle.is_empty() && socket.try_send(&trickle).await.is_ok() {
                tick.tick().await;
            }
            socket.until_closed().await;
        };
        let closed = tokio::time::timeout(Duration::from_secs(60), closed).await;
        assert!(closed.is_ok(), "never closed after {start:?}");
    }
    is_at_rest(&server).await;
}

#[tokio::test]
async fn a_stalled_body_is_408_on_its_stream_and_the_next_stream_is_served() {
    let server = TestServer::configured(|config| {
        config.server.body_timeout.0 = Duration::from_millis(300);
    })
    .await;
    let mut socket = Socket::http2(server.address(), &[]).await;
    socket.send(&frame(HEADERS, END_HEADERS, 1, &post_transfer())).await;
    socket.send(&frame(DATA, 0, 1, b"{")).await;
    let reply = socket.frame().await.expect("a reply");
    assert_eq!((reply.kind, reply.stream, reply.payload[0] & 0xf0 != 0), (HEADERS, 1, true));
    let body = socket.frame().await.expect("its body");
    let text = String::from_utf8_lossy(&body.payload).into_owned();
    assert!(body.kind == DATA && text.contains("\"status\":408"), "{text}");
    socket.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &wire::get("/accounts/1"))).await;
    loop {
        let next = socket.frame().await.expect("the connection stays");
        if next.stream == 3 {
            assert_eq!(next.kind, HEADERS);
            assert!(next.flags & END_HEADERS != 0);
            break;
        }
    }
}
