//! What the code says that refuses a malformed request.

use crate::http::body::parse;
use crate::http::deadline;
use crate::http::problem::Problem;
use crate::http::query::Parameters;
use crate::http::read;
use crate::http::submit::RequestLimits;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde::de::DeserializeOwned;

/// A body with a fault.
pub(super) fn body<T: DeserializeOwned>(json: &str) -> Problem {
    fault(parse::<T>(json.as_bytes()))
}

/// A deadline of nothing.
pub(super) fn deadline(limits: &RequestLimits) -> Problem {
    let name = HeaderName::from_static(deadline::HEADER);
    let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("0"))]);
    fault(deadline::deadline(&headers, limits.timeout, limits.timeout_max))
}

/// An id in a path that is none.
pub(super) fn id() -> Problem {
    fault(read::id_in(Ok(Path("x".to_owned()))))
}

/// A ledger that cannot be.
pub(super) fn ledger() -> Problem {
    fault(read::ledger_in(&Uri::from_static("/?ledger=0")))
}

/// A parameter that nobody knows.
pub(super) fn parameter() -> Problem {
    fault(read::ledger_in(&Uri::from_static("/?colour=red")))
}

/// A page of nothing.
pub(super) fn limit() -> Problem {
    let uri = Uri::from_static("/?limit=0");
    fault(Parameters::of(&uri).and_then(|mut parameters| parameters.limit()))
}

fn fault<T>(result: Result<T, Problem>) -> Problem {
    result.err().unwrap_or_else(|| Problem::bad("this example has no fault"))
}
