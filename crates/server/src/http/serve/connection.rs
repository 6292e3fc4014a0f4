use super::activity::{Activity, Exchange, Overdue};
use super::reply::Reply;
use super::watched::Watched;
use super::{Answers, ConnectionLimits, LAST_CALLS_MAX, Stage};
use crate::http::client_key::ClientKey;
use crate::http::problem::Problem;
use axum::body::Body;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, Version};
use axum::response::IntoResponse;
use giro_batcher::SubmitError;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus::IntGauge;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Bytes of a request's header, at most, and of what is read ahead in HTTP/1.
const HEADER_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 100;

/// Requests that one connection may have under way at the same moment (HTTP/2).
const STREAMS_MAX: u32 = 256;

/// Bytes of bodies that a client may send before they are read: of one request, and of a connection (HTTP/2).
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;

/// Streams that were reset before they were served, and that were reset because of their client's faults,
/// before the connection is given up (HTTP/2).
const EARLY_RESETS_MAX: usize = 32;
const FAULTY_RESETS_MAX: usize = 64;

/// What the connections of a listener have in common.
pub(super) struct Shared<A> {
    answers: A,
    limits: ConnectionLimits,
    protocols: auto::Builder<TokioExecutor>,
    /// Connections that are open.
    open: AtomicUsize,
    /// Requests under way, over all connections.
    requests: Arc<Semaphore>,
    stop: watch::Receiver<Stage>,
}

impl<A: Answers> Shared<A> {
    pub(super) fn new(answers: A, limits: ConnectionLimits, stop: watch::Receiver<Stage>) -> Self {
        let protocols = protocols(&limits);
        let requests = Arc::new(Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS)));
        Self { answers, limits, protocols, open: AtomicUsize::new(0), requests, stop }
    }

    /// Serves a connection until its client leaves, is too slow, or the server stops.
    pub(super) async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: IpAddr,
        _place: OwnedSemaphorePermit,
    ) {
        let _open = Open::new(&self);
        let activity = Arc::new(Activity::new());
        let service = service_fn(|request| {
            // Begun here: a stream may be reset before its task has run at all.
            let place = self.requests.clone().try_acquire_owned().ok();
            let exchange = Exchange::begin(&activity, place);
            let shared = self.clone();
            async move { Ok::<_, Infallible>(shared.answer(request, peer, exchange).await) }
        });
        let io = TokioIo::new(Watched::new(stream, activity.clone()));
        let mut serving = pin!(self.protocols.serve_connection(io, service));
        let mut tick = interval(self.limits.period());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = pin!(self.stopped());
        let mut is_closing = false;
        loop {
            let close = tokio::select! {
                // An error is the client's doing: a broken request was answered, or the socket is gone.
                _ = serving.as_mut() => break,
                _ = tick.tick() => match activity.overdue(&self.limits, self.is_full()) {
                    // Its client is told which requests will not be served, and has a moment to leave.
                    Some(Overdue::Idle) if activity.is_http2() && !is_closing => true,
                    Some(_) => break,
                    None => activity.is_http2() && self.is_stopping(),
                },
                () = stopped.as_mut(), if !is_closing => true,
            };
            if close && !is_closing {
                is_closing = true;
                activity.closing();
                serving.as_mut().graceful_shutdown();
            }
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        exchange: Exchange,
    ) -> Response<Reply> {
        let client = ClientKey::of(peer, request.headers(), self.limits.client_header.as_ref());
        let is_http1 = request.version() < Version::HTTP_2;
        // Beside a Content-Length, which hyper then drops, proxies in front may disagree with us on where
        // the request ends: what follows it is not taken for a request.
        let is_ambiguous = request.headers().contains_key(TRANSFER_ENCODING);
        let mut response = match exchange.has_place() {
            true => self.answers.answer(request.map(Body::new), client).await,
            false => Problem::from(SubmitError::QueueFull).and_close().into_response(),
        };
        if !is_http1 {
            response.headers_mut().remove(CONNECTION);
        } else if is_ambiguous || self.is_stopping() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Reply::new(body, exchange))
    }

    /// Resolves when connections are to be closed.
    async fn stopped(&self) {
        let _ = self.stop.clone().wait_for(|stage| *stage == Stage::Stopping).await;
        // A request may be on its way; hyper would close under it.
        sleep(LAST_CALLS_MAX).await;
    }

    /// Who connects now has to wait.
    fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.limits.connections
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow() != Stage::Serving
    }
}

fn protocols(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut protocols = auto::Builder::new(TokioExecutor::new());
    protocols
        .http1()
        // Activity bounds the header; hyper's own timer cannot tell idle from slow.
        .header_read_timeout(None)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .half_close(false);
    protocols
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize)
        .max_pending_accept_reset_streams(EARLY_RESETS_MAX)
        .max_local_error_reset_streams(FAULTY_RESETS_MAX)
        // A client that is gone without a word is found out while its requests wait.
        .keep_alive_interval(limits.idle / 2)
        .keep_alive_timeout(limits.header);
    protocols
}

/// Counts a connection as open while it lives.
struct Open<A>(Arc<Shared<A>>);

impl<A> Open<A> {
    fn new(shared: &Arc<Shared<A>>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        shared.limits.open.iter().for_each(IntGauge::inc);
        Self(shared.clone())
    }
}

impl<A> Drop for Open<A> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.limits.open.iter().for_each(IntGauge::dec);
    }
}
