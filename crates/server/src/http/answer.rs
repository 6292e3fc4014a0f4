use super::openapi;
use super::problem::Problem;
use super::resource::{Applied, Item, Resource};
use crate::outcome::Outcome;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use giro_ledger::{Id, Reason, Verdict};
use serde::Serialize;
use utoipa::ToSchema;

/// Bytes of one item, usually at most.
const ITEM_BYTES: usize = 320;

/// A reply with what became of `items` items. Written at once: `axum::Json` goes through a `Writer` that checks
/// for room at every comma.
pub(super) fn reply(answer: &impl Serialize, items: usize) -> Response {
    let mut body = Vec::with_capacity(items * ITEM_BYTES);
    match serde_json::to_writer(&mut body, answer) {
        Ok(()) => {
            let mut response = Response::new(Body::from(body));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(_) => Problem::unknown("the outcome could not be written").into_response(),
    }
}

/// One item that was judged, or would have been.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer<T> {
    Applied(AppliedItem<T>),
    Rejected(RejectedItem),
}

/// What was applied, now or before.
#[derive(Serialize, ToSchema)]
pub(super) struct AppliedItem<T> {
    #[schema(schema_with = openapi::only_applied)]
    outcome: Outcome,
    /// It was only judged; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// This id had been applied before, with the same content; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(flatten)]
    record: T,
}

/// What was refused in an array, now or before.
#[derive(Serialize, ToSchema)]
pub(super) struct RejectedItem {
    #[schema(schema_with = openapi::only_rejected)]
    outcome: Outcome,
    /// It was only judged; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// This id had been refused before, for good; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    reason: Reason,
    id: Id,
}

impl<T> AppliedItem<T> {
    /// What had been applied before.
    pub(super) fn replayed(record: T) -> Self {
        Self { outcome: Outcome::Applied, dry_run: false, replayed: true, record }
    }
}

impl<T> Answer<T> {
    pub(super) fn new<R: Resource<Record = T>>(
        (item, verdict): (Item<R>, Verdict<Applied<R>>),
        dry_run: bool,
    ) -> Self {
        match verdict {
            Verdict::Applied { replayed, applied } => {
                let record = R::record(item, applied, replayed);
                Self::Applied(AppliedItem { outcome: Outcome::Applied, dry_run, replayed, record })
            }
            Verdict::Rejected { replayed, reason } => {
                let id = R::id(&item);
                let outcome = Outcome::Rejected;
                Self::Rejected(RejectedItem { outcome, dry_run, replayed, reason, id })
            }
        }
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Applied(_) => None,
            Self::Rejected(item) => Some(item.reason),
        }
    }
}
