//! Load that does not wait for the server: requests come on a schedule, whatever became of those before,
//! and each is timed from when it should have been sent. A closed loop would slow down with the server
//! and hide what its callers suffer (G. Tene, "How NOT to Measure Latency", 2015).

use super::answers::{Answer, Answers};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// A request without an answer for this long will have none.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// When requests are due.
#[derive(Debug, Clone, Copy)]
pub enum Arrivals {
    /// One on each connection when the one before is answered: as fast as the server goes.
    Closed,
    /// So many a second, at equal distances.
    Constant(f64),
    /// So many a second on the average, independent of each other.
    Poisson(f64),
}

/// What is sent: transfers of 1 between accounts `1..=debits` and the `credits` accounts after them.
#[derive(Debug, Clone, Copy)]
pub struct Transfers {
    /// Id of the first; each has the next.
    pub first: u64,
    /// Accounts that are debited in turn.
    pub debits: u64,
    /// Accounts that are credited in turn.
    pub credits: u64,
    /// A body is filled with metadata and blanks up to so many bytes.
    pub body_bytes: usize,
}

impl Transfers {
    /// Of ids from `first` on, between a few accounts.
    pub fn from(first: u64) -> Self {
        Self { first, debits: 8, credits: 992, body_bytes: 0 }
    }

    fn body(&self, number: u64) -> Bytes {
        /// As much as the server takes, less the quotes and the name around it.
        const METADATA: usize = 4000;
        let (debit, credit) = (1 + number % self.debits, 1 + self.debits + number % self.credits);
        let id = self.first + number;
        let mut body =
            format!(r#"{{"id":{id},"debit_account":{debit},"credit_account":{credit},"amount":1"#);
        if self.body_bytes > 2 * METADATA {
            body.push_str(r#","metadata":{"filler":""#);
            body.extend(std::iter::repeat_n('x', METADATA));
            body.push_str(r#""}"#);
        }
        let blanks = self.body_bytes.saturating_sub(body.len() + 1);
        body.extend(std::iter::repeat_n(' ', blanks));
        body.push('}');
        Bytes::from(body)
    }
}

/// A load to be run.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// Connections; with all of them waiting for answers, requests are sent late.
    pub connections: usize,
    /// When requests are due.
    pub arrivals: Arrivals,
    /// How long requests come.
    pub duration: Duration,
    /// What is sent.
    pub transfers: Transfers,
    /// How often a request that was not applied is sent again, at once.
    pub retries: u32,
    /// What could not be sent for this long is given up by its caller.
    pub patience: Duration,
    /// A header that says who the caller is.
    pub caller: Option<(HeaderName, HeaderValue)>,
}

impl Load {
    /// Without retries and on 256 connections.
    pub fn new(address: SocketAddr, arrivals: Arrivals, duration: Duration) -> Self {
        Self {
            address,
            connections: 256,
            arrivals,
            duration,
            transfers: Transfers::from(1),
            retries: 0,
            patience: Duration::from_secs(2),
            caller: None,
        }
    }

    /// Runs to the end.
    pub async fn run(self) -> Answers {
        self.start().end().await
    }

    /// Runs in the background.
    pub fn start(self) -> Running {
        let began = Instant::now();
        let schedule = Mutex::new(Schedule { number: 0, due: Duration::ZERO });
        let shared = Arc::new(Shared { load: self, began, schedule, stop: AtomicBool::new(false) });
        let mut callers = JoinSet::new();
        for _ in 0..shared.load.connections {
            callers.spawn(caller(shared.clone()));
        }
        Running { shared, callers }
    }
}

/// A load that runs.
pub struct Running {
    shared: Arc<Shared>,
    callers: JoinSet<Vec<Answer>>,
}

impl Running {
    /// What times in [`Answers`] count from.
    pub fn began(&self) -> Instant {
        self.shared.began
    }

    /// No more requests; what was sent is awaited.
    pub async fn stop(self) -> Answers {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.end().await
    }

    /// Until the end of the schedule.
    pub async fn end(self) -> Answers {
        let mut all: Vec<_> = self.callers.join_all().await.into_iter().flatten().collect();
        all.sort_unstable_by_key(|answer| answer.done);
        Answers { all, began: self.shared.began }
    }
}

struct Shared {
    load: Load,
    began: Instant,
    schedule: Mutex<Schedule>,
    stop: AtomicBool,
}

struct Schedule {
    number: u64,
    due: Duration,
}

impl Shared {
    /// Waits for the next request to be due. Idle connections queue for the lock, so one of them at a
    /// time has a timer.
    async fn next(&self) -> Option<(u64, Duration)> {
        let mut schedule = self.schedule.lock().await;
        let due = match self.load.arrivals {
            Arrivals::Closed => self.began.elapsed(),
            Arrivals::Constant(rate) => schedule.due + Duration::from_secs_f64(1.0 / rate),
            Arrivals::Poisson(rate) => {
                let gap = -(1.0 - fastrand::f64()).ln() / rate;
                schedule.due + Duration::from_secs_f64(gap)
            }
        };
        let is_over = || due >= self.load.duration || self.stop.load(Ordering::Relaxed);
        if is_over() {
            return None;
        }
        // What is due already does not wait for the next tick of the timer.
        if due > self.began.elapsed() {
            sleep_until(self.began + due).await;
            if is_over() {
                return None;
            }
        }
        let number = schedule.number;
        *schedule = Schedule { number: number + 1, due };
        Some((number, due))
    }
}

/// One connection, opened again when it is closed.
async fn caller(shared: Arc<Shared>) -> Vec<Answer> {
    let mut connection = None;
    let mut answers = Vec::new();
    while let Some((number, due)) = shared.next().await {
        let id = shared.load.transfers.first + number;
        let body = shared.load.transfers.body(number);
        for attempt in 0..=shared.load.retries {
            let sent = shared.began.elapsed();
            let said = if sent > due + shared.load.patience && attempt == 0 {
                Said::nothing("late")
            } else {
                let answer = ask(&mut connection, &shared.load, body.clone());
                timeout(ANSWER_MAX, answer).await.unwrap_or(Said::nothing("silent"))
            };
            let Said { status, reason, tells_when } = said;
            if reason == "silent" {
                connection = None;
            }
            let done = shared.began.elapsed();
            answers.push(Answer { id, attempt, due, sent, done, status, reason, tells_when });
            if status == 200 || reason == "late" {
                break;
            }
        }
    }
    answers
}

/// What was answered, if anything.
struct Said {
    status: u16,
    reason: &'static str,
    tells_when: bool,
}

impl Said {
    fn nothing(reason: &'static str) -> Self {
        Self { status: 0, reason, tells_when: false }
    }
}

type Connection = SendRequest<Full<Bytes>>;

async fn ask(kept: &mut Option<Connection>, load: &Load, body: Bytes) -> Said {
    // A connection that was closed before anything was sent on it is no answer to this request.
    for _ in 0..3 {
        let mut connection = match kept.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => match connect(load.address).await {
                Ok(connection) => connection,
                Err(_) => return Said::nothing("refused"),
            },
        };
        if connection.ready().await.is_err() {
            continue;
        }
        let reply = match connection.send_request(request(load, body.clone())).await {
            Ok(reply) => reply,
            Err(error) if error.is_canceled() => continue,
            Err(_) => return Said::nothing("cut"),
        };
        let said = read(reply).await;
        *kept = Some(connection);
        return said;
    }
    Said::nothing("refused")
}

async fn connect(address: SocketAddr) -> Result<Connection, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn request(load: &Load, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/transfer");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("giro"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = &load.caller {
        headers.insert(name, value.clone());
    }
    request
}

async fn read(reply: Response<hyper::body::Incoming>) -> Said {
    let (head, body) = reply.into_parts();
    let Ok(body) = body.collect().await else { return Said::nothing("cut") };
    let status = head.status.as_u16();
    if head.status == StatusCode::OK {
        return Said { status, reason: "", tells_when: false };
    }
    let body = body.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let tells_when = head.headers.contains_key(RETRY_AFTER) && text.contains("\"retry_after_ms\":");
    Said { status, reason: reason(&text), tells_when }
}

/// The reason in a problem, of those that there are.
fn reason(text: &str) -> &'static str {
    const KNOWN: [&str; 7] = [
        "queue_full",
        "queue_delay",
        "deadline",
        "breaker_open",
        "draining",
        "rolled_back",
        "client_share",
    ];
    let found = text.split_once("\"reason\":\"").and_then(|(_, rest)| rest.split_once('"'));
    let named = |known: &&str| found.is_some_and(|(name, _)| name == *known);
    KNOWN.into_iter().find(named).unwrap_or("other")
}
