//! A server that answers by a script, and remembers what it was asked.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// What to do with a request that was read to its end.
#[derive(Clone)]
pub(crate) enum Step {
    /// Applies all of it.
    Applied { replayed: bool },
    /// 422.
    Rejected { reason: &'static str, replayed: bool },
    /// 503 or another status, `not_applied`.
    NotApplied { status: u16, reason: &'static str, retry_after_ms: Option<u64> },
    /// 504.
    Unknown,
    /// This, whatever it is.
    Raw { status: u16, headers: &'static [(&'static str, &'static str)], body: String },
    /// Closes the connection without a word.
    Cut,
    /// Never answers.
    Silence,
}

impl Step {
    pub(crate) fn raw(status: u16, body: impl ToString) -> Self {
        Self::Raw { status, headers: &[], body: body.to_string() }
    }

    pub(crate) fn shed() -> Self {
        Self::NotApplied { status: 503, reason: "queue_full", retry_after_ms: Some(0) }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) announced_ms: u64,
    pub(crate) client: Option<String>,
    pub(crate) body: Value,
    /// Of which connection, from 1.
    pub(crate) connection: usize,
}

#[derive(Clone, Default)]
struct State(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    steps: VecDeque<Step>,
    seen: Vec<Seen>,
    connections: Vec<AbortHandle>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: State,
    accepting: AbortHandle,
}

impl Server {
    pub(crate) async fn with(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State::default();
        state.0.lock().unwrap().steps = steps.into_iter().collect();
        let accepting = tokio::spawn(accept(listener, state.clone())).abort_handle();
        Self { address, state, accepting }
    }

    pub(crate) fn client(&self) -> giro_client::Builder {
        giro_client::Client::builder(&format!("http://{}", self.address))
    }

    /// What was asked, once the script has been played to its end.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let inner = self.state.0.lock().unwrap();
        assert_eq!(inner.steps.len(), 0, "steps that nobody asked for; seen: {:#?}", inner.seen);
        inner.seen.clone()
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> usize {
        self.state.0.lock().unwrap().seen.len()
    }

    /// Further connections are refused.
    pub(crate) fn stop_listening(&self) {
        self.accepting.abort();
    }

    /// Closes all connections from this side.
    pub(crate) fn close_connections(&self) {
        self.state.0.lock().unwrap().connections.iter().for_each(AbortHandle::abort);
    }
}

async fn accept(listener: TcpListener, state: State) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut inner = state.0.lock().unwrap();
        let number = inner.connections.len() + 1;
        let state = state.clone();
        let service = service_fn(move |request| play(state.clone(), number, request));
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        inner.connections.push(connections.spawn(async { drop(serving.await) }));
    }
}

async fn play(
    state: State,
    connection: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let seen = Seen {
        announced_ms: header("request-timeout-ms").unwrap().parse().unwrap(),
        client: header("x-client"),
        method: head.method,
        uri: head.uri,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        connection,
    };
    let asked = seen.body.clone();
    let step = {
        let mut inner = state.0.lock().unwrap();
        inner.seen.push(seen);
        inner.steps.pop_front().expect("the script has ended")
    };
    let (status, headers, body): (u16, &[_], String) = match step {
        Step::Applied { replayed } => (200, &[], applied(&asked, replayed).to_string()),
        Step::Rejected { reason, replayed } => {
            let id = asked["id"].clone();
            (
                422,
                &[],
                json!({"outcome": "rejected", "reason": reason, "replayed": replayed, "id": id})
                    .to_string(),
            )
        }
        Step::NotApplied { status, reason, retry_after_ms } => {
            let mut problem = json!({"outcome": "not_applied", "reason": reason, "detail": "no"});
            if let Some(ms) = retry_after_ms {
                problem["retry_after_ms"] = ms.into();
            }
            (status, &[], problem.to_string())
        }
        Step::Unknown => (504, &[], json!({"outcome": "unknown", "detail": "late"}).to_string()),
        Step::Raw { status, headers, body } => (status, headers, body),
        Step::Cut => return Err(io::ErrorKind::Other.into()),
        Step::Silence => std::future::pending().await,
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::from(body)).unwrap())
}

/// What the server answers of a transfer or of many.
fn applied(asked: &Value, replayed: bool) -> Value {
    match asked {
        Value::Array(items) => items.iter().map(|item| applied(item, replayed)).collect(),
        item => {
            let mut record = record(&item["id"]);
            record["outcome"] = "applied".into();
            record["replayed"] = replayed.into();
            record
        }
    }
}

/// A transfer as it is returned.
pub(crate) fn record(id: &Value) -> Value {
    json!({
        "id": id, "ledger": 1, "code": 1, "flags": ["pending", "of_the_future"],
        "debit_account": "00000000-0000-0000-0000-000000000001",
        "credit_account": "00000000-0000-0000-0000-000000000002",
        "amount": u128::MAX.to_string(), "seq": "65537", "state": "pending",
        "metadata": {"order": 1}, "created_at": "2026-11-22T10:00:00.000001Z",
    })
}
