//! The API: routes, and the layers around them.

use crate::metrics::Metrics;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use giro_ledger::Readers;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) mod admin;
mod answer;
mod body;
mod cancel;
mod client_key;
mod cursor;
mod deadline;
mod docs;
mod dry_run;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod list;
mod observe;
pub(crate) mod openapi;
mod problem;
mod query;
mod read;
mod resource;
pub(crate) mod serve;
mod submit;

pub(crate) use body::BodyBudget;
pub(crate) use dry_run::DryRuns;
pub(crate) use resource::{Accounts, Resource, Transfers};
pub(crate) use submit::{Intake, Items, RequestLimits, Verdicts};

use cancel::Cancels;
use problem::Problem;
use read::Reading;

/// What the routes need.
pub(crate) struct Api {
    pub(crate) transfers: Arc<Intake<Transfers>>,
    pub(crate) accounts: Arc<Intake<Accounts>>,
    pub(crate) readers: Readers,
    pub(crate) limits: RequestLimits,
    pub(crate) metrics: Metrics,
}

/// The API's routes. Every reply that is not 2xx is `application/problem+json`.
pub(crate) fn router(api: Api) -> Router {
    let openapi = openapi::Served::new(&api.limits);
    let reads = Router::new()
        .route("/accounts/{id}", get(read::account))
        .route("/accounts/{id}/balances", get(list::balances))
        .route("/accounts/{id}/transfers", get(list::account_transfers))
        .route("/accounts", get(list::accounts))
        .route("/transfers/{id}", get(read::transfer))
        .route("/transfers", get(list::transfers))
        .with_state(Reading { readers: api.readers.clone(), limits: api.limits });
    let cancels = Router::new()
        .route("/transfers/{id}/cancel", post(cancel::cancel))
        .with_state(Cancels { intake: api.transfers.clone(), readers: api.readers });
    let transfers = Router::new()
        .route("/transfer", post(submit::one))
        .route("/transfers", post(submit::many))
        .with_state(api.transfers);
    let accounts = Router::new()
        .route("/account", post(submit::one))
        .route("/accounts", post(submit::many))
        .with_state(api.accounts);
    let documents = Router::new()
        .route("/openapi.json", get(async move || openapi.clone()))
        .route("/docs", get(docs::redirect))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::file));
    reads
        .merge(transfers)
        .merge(cancels)
        .merge(accounts)
        .merge(documents)
        .fallback(async || Problem::no_path())
        .method_not_allowed_fallback(async || Problem::no_method())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api.metrics, observe::observe))
}

/// A bug. Whether the request was dispatched before is not known here.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use axum::response::IntoResponse;
    Problem::unknown("the server failed while it handled this request").into_response()
}
