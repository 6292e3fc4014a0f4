//! One HTTP connection to the server.
//!
//! The connection is driven by the task that uses it, not by a task of its own: a request costs no
//! hand-over between tasks, and the generator leaves more of the machine to what it measures.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::BenchError;
use crate::error::with_causes;

const CONNECT_ATTEMPTS: u32 = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(50);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The address of a server.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    url: String,
    host: String,
    port: u16,
    host_header: HeaderValue,
}

impl Target {
    /// Parses a base URL: `http`, a host, perhaps a port, and nothing more.
    pub(crate) fn parse(url: &str) -> Result<Self, BenchError> {
        let problem = || BenchError::Option {
            option: "url",
            problem: format!("{url:?} is not of the form http://host:port"),
        };
        let uri: Uri = url.parse().map_err(|_| problem())?;
        let authority = uri.authority().ok_or_else(problem)?;
        if uri.scheme_str() != Some("http") || uri.path() != "/" || uri.query().is_some() {
            return Err(problem());
        }
        Ok(Self {
            url: url.to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| problem())?,
        })
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server had closed the connection before anything was sent.
    #[error("the connection was closed")]
    NotSent,
    /// No complete answer in time. The server may have done what was asked.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
    /// The connection broke. The server may have done what was asked.
    #[error("the connection broke: {}", with_causes(.0))]
    Broken(hyper::Error),
}

/// A connection that is opened when needed, and opened anew after a failure.
pub(crate) struct Client {
    target: Target,
    request_timeout: Duration,
    link: Option<Link>,
    opened: u64,
    reply: Vec<u8>,
}

impl Client {
    pub(crate) fn new(target: Target, request_timeout: Duration) -> Self {
        Self { target, request_timeout, link: None, opened: 0, reply: Vec::new() }
    }

    /// Opens the connection unless it is open. Gives up after a bounded number of attempts.
    pub(crate) async fn connect(&mut self) -> Result<(), BenchError> {
        if self.link.is_some() {
            return Ok(());
        }
        let mut pause = FIRST_RETRY_AFTER;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let opened = timeout(CONNECT_TIMEOUT, Link::open(&self.target)).await;
            match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(link) => {
                    self.link = Some(link);
                    self.opened += 1;
                    return Ok(());
                }
                Err(error) if attempts == CONNECT_ATTEMPTS => {
                    let url = self.target.url.clone();
                    return Err(BenchError::Unreachable { url, attempts, error });
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_RETRY_AFTER);
        }
    }

    /// Sends one request and reads the whole answer, which [`Client::reply`] then holds.
    /// After a failure the connection is closed.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> Result<StatusCode, Failure> {
        let link = self.link.as_mut().ok_or(Failure::NotSent)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.host_header.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        self.reply.clear();
        let exchange = link.exchange(request, &mut self.reply);
        let answer = timeout(self.request_timeout, exchange).await;
        let answer = answer.unwrap_or(Err(Failure::TimedOut(self.request_timeout)));
        if answer.is_err() {
            self.link = None;
        }
        answer
    }

    /// The body of the last answer.
    pub(crate) fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// How often the connection was opened again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.opened.saturating_sub(1)
    }
}

/// An open connection: the end that takes requests, and the future that does the work.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// Nothing once the connection has ended.
    connection: Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
}

impl Link {
    async fn open(target: &Target) -> io::Result<Self> {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self { sender, connection: Some(connection) })
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        reply: &mut Vec<u8>,
    ) -> Result<StatusCode, Failure> {
        let Self { sender, connection } = self;
        let exchange = async {
            sender.ready().await.map_err(|_| Failure::NotSent)?;
            let answer = sender.send_request(request).await.map_err(Failure::Broken)?;
            let status = answer.status();
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.map_err(Failure::Broken)?.into_data() {
                    reply.extend_from_slice(&data);
                }
            }
            Ok(status)
        };
        let mut exchange = pin!(exchange);
        poll_fn(|context| {
            if let Poll::Ready(answer) = exchange.as_mut().poll(context) {
                return Poll::Ready(answer);
            }
            if let Some(running) = connection
                && Pin::new(running).poll(context).is_ready()
            {
                // Dropping it ends the exchange, if the end of the connection has not already.
                *connection = None;
            }
            exchange.as_mut().poll(context)
        })
        .await
    }
}
