//! The API: routes, and the layers around them.

use crate::metrics::{Metrics, RouteMetrics};
use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::FutureExt;
use giro_ledger::Readers;
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
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
use client_key::ClientKey;
use observe::observe;
use problem::Problem;
use read::Reading;
use serve::Answers;

/// What the routes need.
pub(crate) struct Api {
    pub(crate) transfers: Arc<Intake<Transfers>>,
    pub(crate) accounts: Arc<Intake<Accounts>>,
    pub(crate) readers: Readers,
    pub(crate) limits: RequestLimits,
    pub(crate) metrics: Metrics,
}

/// The API. Calls that carry the load go straight to what handles them: the way through a router that can do
/// everything takes a fifth of the server's work for them.
pub(crate) struct Routes {
    transfers: Arc<Intake<Transfers>>,
    one: RouteMetrics<'static>,
    many: RouteMetrics<'static>,
    /// For all calls, and for what is none.
    router: Router,
}

impl Routes {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            transfers: api.transfers.clone(),
            one: api.metrics.of_route("/transfer"),
            many: api.metrics.of_route("/transfers"),
            router: router(api),
        }
    }
}

impl Answers for Routes {
    async fn answer(&self, request: Request, client: ClientKey) -> Response {
        let transfers = &self.transfers;
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/transfer") => {
                observe(&self.one, request, |request| caught(transfers.one(request, client))).await
            }
            (&Method::POST, "/transfers") => {
                observe(&self.many, request, |request| caught(transfers.many(request, client)))
                    .await
            }
            _ => self.router.answer(request, client).await,
        }
    }
}

/// The API's routes. Every reply that is not 2xx is `application/problem+json`.
fn router(api: Api) -> Router {
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
        .layer(from_fn_with_state(Arc::new(api.metrics), observe::by_path))
}

/// The answer, also when making it panics.
async fn caught(answer: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(panicked)
}

/// A bug. Whether the request was dispatched before is not known here.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::unknown("the server failed while it handled this request").into_response()
}
