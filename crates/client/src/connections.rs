//! A bounded set of HTTP/1.1 connections.
//!
//! Our own rather than a pool of hyper's: it never opens more than its bound, it never sends anything again by
//! itself, and it says of a failure whether the request can have reached the server.

use crate::builder::Target;
use crate::retry::announced;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error as StdError;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Well below the time after which a server closes an idle connection (`server.idle_timeout`, 60 s): a
/// request that meets a closing connection is an unknown one.
const IDLE: Duration = Duration::from_secs(30);
/// More than any answer of a server with its default limits.
const MOST_REPLY_BYTES: usize = 64 << 20;

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// The header, in whole seconds.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nothing of the request was written.
    NotSent(String),
    /// Something may have been.
    Sent(String),
}

#[derive(Debug)]
pub(crate) struct Connections {
    target: Target,
    permits: Semaphore,
    /// The last used is the first taken, so that those too many grow old.
    idle: Mutex<Vec<(Link, Instant)>>,
}

impl Connections {
    pub(crate) fn new(target: Target, max: usize) -> Self {
        Self { target, permits: Semaphore::new(max), idle: Mutex::default() }
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        self.target.host_header.clone()
    }

    /// One exchange, over by `until`. `request` is made with what to announce as the time-out, just
    /// before it is sent.
    pub(crate) async fn exchange(
        &self,
        until: Instant,
        request: impl FnOnce(u64) -> Request<Full<Bytes>>,
    ) -> Result<Reply, Lost> {
        let late = |doing: &str| format!("timed out {doing}");
        let _permit = timeout_at(until, self.permits.acquire())
            .await
            .map_err(|_| Lost::NotSent(late("waiting for a connection: all are busy")))?;
        let mut link = match self.take_idle() {
            Some(link) => link,
            None => {
                let opened = timeout_at(until, Link::open(&self.target)).await;
                let opened = opened.map_err(|_| Lost::NotSent(late("connecting")))?;
                opened.map_err(|error| Lost::NotSent(format!("cannot connect: {error}")))?
            }
        };
        let left = until.saturating_duration_since(Instant::now());
        let Some(announced) = announced(left) else {
            self.put_back(link);
            return Err(Lost::NotSent(late("before it was sent")));
        };
        let answer = timeout_at(until, link.exchange(request(announced))).await;
        let reply = answer.unwrap_or_else(|_| Err(Lost::Sent(late("waiting for the answer"))))?;
        self.put_back(link);
        Ok(reply)
    }

    fn take_idle(&self) -> Option<Link> {
        let oldest = Instant::now().checked_sub(IDLE);
        let mut idle = self.idle();
        while let Some((link, since)) = idle.pop() {
            if link.is_usable() && oldest.is_none_or(|oldest| since > oldest) {
                return Some(link);
            }
        }
        None
    }

    fn put_back(&self, link: Link) {
        if link.is_usable() {
            let now = Instant::now();
            let mut idle = self.idle();
            idle.retain(|(_, since)| now.saturating_duration_since(*since) < IDLE);
            idle.push((link, now));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Link, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Link {
    async fn open(target: &Target) -> io::Result<Self> {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // How it ended is told to the request that is on it.
        let driver = tokio::spawn(async { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, Lost> {
        let closed = |error| Lost::NotSent(with_causes(&error));
        self.sender.ready().await.map_err(closed)?;
        let answer = self.sender.try_send_request(request).await.map_err(|mut error| {
            // hyper gives a request back of which it has written nothing.
            let given_back = error.take_message().is_some();
            let text = with_causes(error.error());
            if given_back { Lost::NotSent(text) } else { Lost::Sent(text) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MOST_REPLY_BYTES).collect().await;
        let body = body.map_err(|error| Lost::Sent(with_causes(error.as_ref())))?.to_bytes();
        let retry_after = head.headers.get(RETRY_AFTER).and_then(seconds);
        Ok(Reply { status: head.status, retry_after, body })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
