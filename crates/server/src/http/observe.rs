use crate::metrics::{Metrics, RouteMetrics};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Observes the requests of a router.
pub(super) async fn by_path(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("(none)", MatchedPath::as_str);
    observe(&metrics.of_route(route), request, |request| next.run(request)).await
}

/// Counts and times a request, gives it an id, and logs what went wrong on our side.
pub(super) async fn observe<F: Future<Output = Response>>(
    metrics: &RouteMetrics<'_>,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let id = request_id(&request);
    let mut response = answer(request).await;
    let status = response.status();
    metrics.answered(status.as_u16(), started.elapsed().as_secs_f64());
    let (route, shown) = (metrics.route, id.to_str().unwrap_or_default());
    if status.as_u16() == 504 {
        tracing::warn!(request_id = shown, %method, route, status = 504, "result unknown");
    } else {
        tracing::debug!(request_id = shown, %method, route, status = status.as_u16(), "answered");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Of an id of ours: 8 digits, a hyphen, and at most 16 digits.
const ID_BYTES_MAX: usize = 8 + 1 + 16;

/// Tells this process from others and from itself before a restart.
fn process() -> &'static u32 {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    PROCESS.get_or_init(|| RandomState::new().build_hasher().finish() as u32)
}

/// The caller's own, if it is short and plain; else a new one.
fn request_id(request: &Request) -> HeaderValue {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let plain = |id: &&HeaderValue| {
        id.len() <= 64 && !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = request.headers().get(REQUEST_ID).filter(plain) {
        return id.clone();
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut text = [0; ID_BYTES_MAX];
    let mut rest = &mut text[..];
    let written = write!(rest, "{:08x}-{number:x}", *process());
    let left = rest.len();
    written
        .ok()
        .and_then(|()| HeaderValue::from_bytes(&text[..ID_BYTES_MAX - left]).ok())
        .unwrap_or(HeaderValue::from_static("none"))
}
