//! Sockets and frames as an attacker has them.

use giro_tests::{ServerProcess, TestServer, eventually};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far above every limit of these tests, far below none at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const CONTINUATION: u8 = 0x9;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

pub(super) struct Socket {
    pub(super) stream: TcpStream,
}

impl Socket {
    pub(super) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// One that has spoken the preface of HTTP/2.
    pub(super) async fn http2(address: SocketAddr, settings: &[u8]) -> Self {
        let mut socket = Self::open(address).await;
        socket.send(PREFACE).await;
        socket.send(&frame(SETTINGS, 0, 0, settings)).await;
        socket
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// What comes until the server closes.
    pub(super) async fn until_closed(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        // A reset is a close as well: there was something unread.
        let closed = timeout(PATIENCE, self.stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "never closed; so far: {:?}", String::from_utf8_lossy(&answer));
        answer
    }

    /// The next frame, without those that every connection has: SETTINGS and WINDOW_UPDATE.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            let read = timeout(PATIENCE, self.stream.read_exact(&mut head)).await;
            read.expect("neither a frame nor a close").ok()?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            if !matches!(kind, SETTINGS | 0x8) {
                return Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload });
            }
        }
    }
}

/// A frame of HTTP/2.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// A header block: `POST /transfer` with JSON, packed by hand (RFC 7541).
pub(super) fn post_transfer() -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, 9];
    block.extend(b"/transfer");
    block.extend([0x01, 1, b'x', 0x0f, 0x10, 16]);
    block.extend(b"application/json");
    block
}

/// A header block: `GET` of a path.
pub(super) fn get(path: &str) -> Vec<u8> {
    [&[0x82, 0x86, 0x04, path.len() as u8], path.as_bytes(), &[0x01, 1, b'x']].concat()
}

/// A request of HTTP/1.1 with a JSON body of which only `body` is sent.
pub(super) fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
    )
}

/// Nothing is left behind: no connection, nothing queued.
pub(super) async fn is_at_rest(server: &TestServer) {
    for gauge in ["giro_http_connections", r#"giro_queue_items{batcher="transfers"}"#] {
        eventually(gauge, async || server.metric(gauge).await == 0.0).await;
    }
}

/// A gauge of a server that is a process.
pub(super) async fn gauge(server: &ServerProcess, name: &str) -> f64 {
    let text = server.admin.get("/metrics").await.text;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

/// Resident memory of a process, in MiB, at its highest.
pub(super) fn peak_memory_mib(server: &ServerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}
