//! Connections: accepted up to a cap, and closed when their client is too slow.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge, on the same listener. `axum::serve` has no time-out at all:
//! half a header would hold a connection forever.

use super::client_key::ClientKey;
use axum::Router;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::response::Response;
use connection::Shared;
use prometheus::IntGauge;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

mod activity;
mod connection;
mod frames;
#[cfg(fuzzing)]
pub use frames::follow;
mod reply;
mod watched;

/// What answers the requests of one listener.
pub(crate) trait Answers: Send + Sync + 'static {
    /// Answers a request of this client.
    fn answer(&self, request: Request, client: ClientKey) -> impl Future<Output = Response> + Send;
}

impl Answers for Router {
    async fn answer(&self, mut request: Request, client: ClientKey) -> Response {
        request.extensions_mut().insert(client);
        let Ok(response) = self.clone().oneshot(request).await;
        response
    }
}

/// What bounds the connections of one listener.
#[derive(Clone)]
pub(crate) struct ConnectionLimits {
    /// At a time.
    pub(crate) connections: usize,
    /// Requests under way at a time, over all connections.
    pub(crate) requests: usize,
    /// Without a request under way.
    pub(crate) idle: Duration,
    /// From the first byte of a header to its end.
    pub(crate) header: Duration,
    /// From the moment a reply is ready until it is written.
    pub(crate) write: Duration,
    /// Header that names the client, else its address does.
    pub(crate) client_header: Option<HeaderName>,
    /// Open connections, where they are counted.
    pub(crate) open: Option<IntGauge>,
}

impl ConnectionLimits {
    /// How often a connection is looked at: often enough to keep the shortest limit, and rarely.
    fn period(&self) -> Duration {
        let shortest = self.header.min(self.idle).min(self.write);
        (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
}

/// Connections that wait to be accepted; the kernel allows so many at most (net.core.somaxconn). What is beyond
/// is dropped without a word, and its client tries again after a second.
const BACKLOG: u32 = 4096;

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

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for the connections of before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until the last stage of a stop, then lets every connection finish its request and returns
/// when the last is closed.
pub(crate) async fn serve(
    listener: TcpListener,
    answers: impl Answers,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<Stage>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let shared = Arc::new(Shared::new(answers, limits, stop.clone()));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stage| *stage == Stage::Stopping) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                tokio::spawn(shared.clone().connection(stream, peer, place));
            }
            // Its client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
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
        tokio::spawn(shared.clone().connection(stream, peer, place));
    }
    drop(listener);
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
