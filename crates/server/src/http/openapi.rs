//! `/openapi.json`: the API, described from the types that are parsed and returned, with examples that
//! the code which answers has made.
//!
//! | file | holds |
//! | --- | --- |
//! | `post`, `get`, `list` | the paths: what each takes, and every reply it can give |
//! | `parameters` | headers, path and query |
//! | `replies` | what replies have in common; those that are not 2xx |
//! | `examples` | transfers and accounts, as they are sent and returned |
//! | `faults` | what is said of malformed requests |
//! | `schemas` | the types that the paths name |

use super::submit::RequestLimits;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schemas::Schemas;
use utoipa::openapi::info::InfoBuilder;
use utoipa::openapi::path::Paths;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, HttpMethod, License, OpenApi, OpenApiBuilder};

mod examples;
mod faults;
mod get;
mod list;
mod parameters;
mod post;
mod replies;
mod schemas;

pub(super) use schemas::{only_applied, only_rejected};

/// The document as it is served.
#[derive(Clone)]
pub(super) struct Served(Bytes);

impl Served {
    pub(super) fn new(limits: &RequestLimits) -> Self {
        Self(document(limits).to_json().unwrap_or_default().into())
    }
}

impl IntoResponse for Served {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

const DESCRIPTION: &str = "A batching transaction server for PostgreSQL. Every reply to a transfer carries \
    its `outcome`, in a 2xx body and in `application/problem+json` (RFC 9457) alike. What is not HTTP at \
    all gets a bare 400 or 431.";

/// The document, with the limits that are in force.
pub(crate) fn document(limits: &RequestLimits) -> OpenApi {
    let mut schemas = Schemas::default();
    let mut paths = Paths::new();
    let described = [
        ("/transfer", HttpMethod::Post, post::transfer(limits, &mut schemas)),
        ("/transfers", HttpMethod::Post, post::transfers(limits, &mut schemas)),
        ("/transfers", HttpMethod::Get, list::transfers(limits, &mut schemas)),
        ("/transfers/{id}/cancel", HttpMethod::Post, post::cancel(limits, &mut schemas)),
        ("/transfers/{id}", HttpMethod::Get, get::transfer(limits, &mut schemas)),
        ("/account", HttpMethod::Post, post::account(limits, &mut schemas)),
        ("/accounts", HttpMethod::Post, post::accounts(limits, &mut schemas)),
        ("/accounts", HttpMethod::Get, list::accounts(limits, &mut schemas)),
        ("/accounts/{id}", HttpMethod::Get, get::account(limits, &mut schemas)),
        (
            "/accounts/{id}/transfers",
            HttpMethod::Get,
            list::account_transfers(limits, &mut schemas),
        ),
        ("/accounts/{id}/balances", HttpMethod::Get, list::balances(limits, &mut schemas)),
    ];
    for (path, method, operation) in described {
        paths.add_path_operation(path, vec![method], operation);
    }
    let mut components = ComponentsBuilder::new()
        .schemas_from_iter(schemas.finish())
        .responses_from_iter(replies::shared(limits));
    for (name, parameter) in parameters::shared(limits) {
        components = components.parameter(name, parameter);
    }
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".into());
    let info = InfoBuilder::new()
        .title("Giro")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license));
    let tags = [
        ("Transfers", "An amount that moves from one account to another"),
        ("Accounts", "What amounts move between"),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags.map(tag)))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}
