use crate::metrics::Metrics;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Counts and times every request, gives it an id, and logs what went wrong on our side.
pub(super) async fn observe(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("(none)", MatchedPath::as_str);
    let id = request_id(&request);
    let mut response = next.run(request).await;
    let status = response.status();
    metrics.answered(route, status.as_u16(), started.elapsed().as_secs_f64());
    let shown = id.to_str().unwrap_or_default();
    if status.as_u16() == 504 {
        tracing::warn!(request_id = shown, %method, route, status = 504, "result unknown");
    } else {
        tracing::debug!(request_id = shown, %method, route, status = status.as_u16(), "answered");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

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
    let text = format!("{:08x}-{number:x}", *process());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("none"))
}
