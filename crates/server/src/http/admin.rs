//! The listener for operators: never shed, never slowed by callers.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use std::sync::Arc;

/// Why the server should get no traffic now; `None` when it should.
pub(crate) type Readiness = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// `/metrics`, `/livez`, `/readyz`
pub(crate) fn router(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(async move || metrics(&registry)))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async move || ready(&readiness)))
}

fn ready(readiness: &Readiness) -> Response {
    match readiness() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn metrics(registry: &Registry) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            tracing::error!("metrics could not be encoded: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
