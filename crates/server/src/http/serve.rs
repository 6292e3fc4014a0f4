//! Connections: accepted up to a cap, and closed when their client is too slow.
//!
//! `axum::serve` has no time-out at all: half a header would hold a connection forever.

use super::client_key::ClientKey;
use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderName, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use prometheus::IntGauge;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tower::ServiceExt;

/// What bounds the connections of one listener.
#[derive(Clone)]
pub(crate) struct ConnectionLimits {
    /// At a time.
    pub(crate) connections: usize,
    /// Without a request under way.
    pub(crate) idle: Duration,
    /// From the first byte of a header to its end.
    pub(crate) header: Duration,
    /// Header that names the client, else its address does.
    pub(crate) client_header: Option<HeaderName>,
    /// Open connections, where they are counted.
    pub(crate) open: Option<IntGauge>,
}

/// Bytes of a request's header, at most.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A listener that nobody connected to for this long can be closed.
const LAST_CALL: Duration = Duration::from_millis(20);
const LAST_CALLS_MAX: Duration = Duration::from_millis(200);

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not begun.
    Serving,
    /// New work is refused, what was accepted is worked off; replies ask clients to close.
    Draining,
    /// Connections are closed.
    Stopping,
}

/// Serves until the last stage of a stop, then lets every connection finish its request and returns
/// when the last is closed.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<Stage>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stage| *stage == Stage::Stopping) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                tokio::spawn(connection(
                    stream,
                    peer,
                    place,
                    router.clone(),
                    limits.clone(),
                    stop.clone(),
                ));
            }
            // Out of descriptors, most likely: the next attempt would fail at once as well.
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Closing the listener resets whoever has connected and was not accepted yet: these are told that
    // the server stops, until nobody comes for a moment.
    let last = Instant::now() + LAST_CALLS_MAX;
    while Instant::now() < last
        && let Ok(Ok((stream, peer, place))) = timeout(LAST_CALL, accept(&listener, &places)).await
    {
        tokio::spawn(connection(stream, peer, place, router.clone(), limits.clone(), stop.clone()));
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    drop(places.acquire_many(all).await);
}

/// The place comes first: what cannot be served is left in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // A reply is one small write; waiting for more to send with it only delays it.
    stream.set_nodelay(true)?;
    Ok((stream, peer.ip(), place))
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    _place: OwnedSemaphorePermit,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<Stage>,
) {
    let _open = limits.open.clone().map(Open::new);
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched { stream, activity: activity.clone() });
    let seen = activity.clone();
    let stopped = stop.clone();
    let client_header = limits.client_header.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let client = ClientKey::of(peer, request.headers(), client_header.as_ref());
        request.extensions_mut().insert(client);
        seen.enter(Phase::Request);
        let (router, seen, stopped) = (router.clone(), seen.clone(), stopped.clone());
        async move {
            let mut response = router.oneshot(request.map(Body::new)).await?;
            if *stopped.borrow() != Stage::Serving {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            seen.enter(Phase::Idle);
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    // The phases below bound the header; hyper's own timer cannot tell idle from slow.
    http.header_read_timeout(None).max_buf_size(HEADER_BYTES_MAX).half_close(false);
    let mut serving = pin!(http.serve_connection(io, service));
    let period = (limits.header.min(limits.idle) / 4)
        .clamp(Duration::from_millis(20), Duration::from_secs(1));
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closing = pin!(async {
        let _ = stop.wait_for(|stage| *stage == Stage::Stopping).await;
        // A request may be on its way; hyper would close under it.
        sleep(LAST_CALLS_MAX).await;
    });
    let mut closed = false;
    loop {
        tokio::select! {
            // An error is the client's doing: a broken request was answered, or the socket is gone.
            _ = serving.as_mut() => break,
            _ = tick.tick() => {
                if activity.is_overdue(&limits) {
                    break;
                }
            }
            () = closing.as_mut(), if !closed => {
                closed = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Counts a connection as open while it lives.
struct Open(IntGauge);

impl Open {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Nothing has arrived since it was opened or last answered.
    Idle = 0,
    /// Part of a header has arrived.
    Header = 1,
    /// A request is under way; its handler has time-outs of its own.
    Request = 2,
}

/// The phase of a connection, and since when.
struct Activity {
    opened: Instant,
    phase: AtomicU8,
    /// Milliseconds since it was opened.
    since: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        let phase = AtomicU8::new(Phase::Idle as u8);
        Self { opened: Instant::now(), phase, since: AtomicU64::new(0) }
    }

    fn enter(&self, phase: Phase) {
        self.since.store(self.opened.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn received(&self) {
        if self.is_idle() {
            self.enter(Phase::Header);
        }
    }

    fn is_idle(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Idle as u8
    }

    fn is_overdue(&self, limits: &ConnectionLimits) -> bool {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        let elapsed = self.opened.elapsed().saturating_sub(since);
        match self.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Idle as u8 => elapsed > limits.idle,
            phase if phase == Phase::Header as u8 => elapsed > limits.header,
            _ => false,
        }
    }
}

/// A stream that notes when something arrives.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
