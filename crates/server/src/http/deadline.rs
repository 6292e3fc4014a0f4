use super::problem::Problem;
use axum::http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;

pub(super) const HEADER: &str = "request-timeout-ms";

/// A caller's deadline: the header `Request-Timeout-Ms`, or the default.
pub(super) fn deadline(
    headers: &HeaderMap,
    default: Duration,
    max: Duration,
) -> Result<Instant, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(Instant::now() + default) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let millis = digits.filter(|_| values.next().is_none()).and_then(|text| text.parse().ok());
    match millis.map(Duration::from_millis) {
        Some(timeout) if !timeout.is_zero() && timeout <= max => Ok(Instant::now() + timeout),
        _ => Err(Problem::bad(format!(
            "Request-Timeout-Ms must be one whole number from 1 to {}",
            max.as_millis()
        ))
        .with_field("Request-Timeout-Ms")),
    }
}
