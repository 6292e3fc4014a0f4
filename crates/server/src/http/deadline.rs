use super::problem::Problem;
use axum::http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;

const HEADER: &str = "request-timeout-ms";

/// A caller's deadline: the header `Request-Timeout-Ms`, or the default.
pub(super) fn deadline(
    headers: &HeaderMap,
    default: Duration,
    max: Duration,
) -> Result<Instant, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(Instant::now() + default) };
    let millis = value.to_str().ok().and_then(|text| text.parse().ok());
    match millis.map(Duration::from_millis) {
        Some(timeout) if !timeout.is_zero() && timeout <= max => Ok(Instant::now() + timeout),
        _ => Err(Problem::bad(format!(
            "Request-Timeout-Ms must be a whole number from 1 to {}",
            max.as_millis()
        ))
        .with_field("Request-Timeout-Ms")),
    }
}
