//! Every reply that is not 2xx: `application/problem+json` (RFC 9457) with the outcome in it.

use crate::outcome::{Outcome, ShedReason};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use giro_batcher::{Refused, SubmitError, TicketError};
use giro_ledger::{Id, Reason};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};

/// Boxed, so that the results which carry it stay small.
#[derive(Debug, Serialize)]
pub(crate) struct Problem(Box<Body>);

/// Every reply that is not 2xx, after RFC 9457. The text of `detail` may change; `outcome` and `reason`
/// do not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Always `about:blank`: the status says it all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What happened, for a person.
    detail: String,
    /// What became of the request; absent where nothing was asked to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    outcome: Option<Outcome>,
    /// Why, for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = any_reason)]
    reason: Option<&'static str>,
    /// It was only judged; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// This id had been refused before, for good; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    /// Of the transfer or account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<Id>,
    /// Where in an array the fault is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    index: Option<usize>,
    /// The field, parameter or header that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// When to send the same request again, in milliseconds; spread at random, so that those refused
    /// together do not come back together. Absent where that is of no use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_ms: Option<u64>,
    #[serde(skip)]
    close: bool,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

fn any_reason() -> RefOr<Schema> {
    let [judged, shed] = ["Reason", "ShedReason"].map(Ref::from_schema_name);
    Schema::from(AnyOfBuilder::new().item(judged).item(shed)).into()
}

/// Where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Problem {
    /// A request that was not applied.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Body {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            outcome: Some(Outcome::NotApplied),
            reason: None,
            dry_run: false,
            replayed: false,
            id: None,
            index: None,
            field: None,
            retry_after_ms: None,
            close: false,
        }))
    }

    /// A request for a path that is not ours.
    pub(crate) fn no_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path")
    }

    /// A request for one of our paths, by another method.
    pub(crate) fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
    }

    /// A request that is malformed.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A request with a fault in one field or header; `problem` is a clause that follows its name.
    pub(crate) fn bad_field(field: &str, problem: &str) -> Self {
        Self::bad(format!("{field} {problem}")).with_field(field)
    }

    /// A request that was dispatched, and whose result was not learnt.
    pub(crate) fn unknown(detail: &'static str) -> Self {
        let mut problem = Self::new(StatusCode::GATEWAY_TIMEOUT, detail);
        problem.0.outcome = Some(Outcome::Unknown);
        problem
    }

    /// A transfer or an account that was judged and refused.
    pub(crate) fn rejected(id: Id, reason: Reason, replayed: bool) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason.meaning());
        problem.0.outcome = Some(Outcome::Rejected);
        problem.0.reason = Some(reason.name());
        problem.0.replayed = replayed;
        problem.with_id(id)
    }

    /// A read that found nothing, or nothing that was applied.
    pub(crate) fn not_found(id: Id, rejected: Option<Reason>) -> Self {
        let mut problem = match rejected {
            Some(reason) => Self::rejected(id, reason, true),
            None => Self::new(StatusCode::NOT_FOUND, "there is none with this id in the ledger"),
        };
        problem.0.status = StatusCode::NOT_FOUND;
        problem.0.title = "Not Found";
        problem.0.outcome = rejected.map(|_| Outcome::Rejected);
        problem.with_id(id)
    }

    /// A read of something that there is not.
    pub(crate) fn nothing_there(detail: String) -> Self {
        let mut problem = Self::new(StatusCode::NOT_FOUND, detail);
        problem.0.outcome = None;
        problem
    }

    /// A read that failed: nothing was asked to change, so there is no outcome.
    pub(crate) fn read_failed(status: StatusCode, detail: &'static str) -> Self {
        let mut problem = Self::new(status, detail);
        problem.0.outcome = None;
        problem.with_retry_after(RETRY_AFTER)
    }

    /// A sound request that was not applied, and may come back.
    pub(crate) fn shed(reason: ShedReason) -> Self {
        let mut problem = Self::new(reason.status(), reason.meaning());
        problem.0.reason = Some(reason.name());
        problem.with_retry_after(RETRY_AFTER)
    }

    /// The same id may be sent again, after so long.
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// In whole seconds, as the header has it.
    pub(super) fn retry_after_secs(&self) -> Option<u64> {
        self.0.retry_after_ms.map(|millis| millis.div_ceil(1000))
    }

    /// A transfer was asked for, be it in a dry run.
    pub(crate) fn not_applied(mut self) -> Self {
        self.0.outcome = Some(Outcome::NotApplied);
        self
    }

    pub(crate) fn with_id(mut self, id: Id) -> Self {
        self.0.id = Some(id);
        self
    }

    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    pub(crate) fn with_index(mut self, index: Option<usize>) -> Self {
        self.0.index = index;
        self
    }

    /// Ends the connection after the reply: its body was not read.
    pub(crate) fn and_close(mut self) -> Self {
        self.0.close = true;
        self
    }

    /// What was asked for was only to be judged.
    pub(crate) fn in_dry_run(mut self) -> Self {
        self.0.dry_run = true;
        self
    }

    pub(crate) fn is_in_dry_run(&self) -> bool {
        self.0.dry_run
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.0.reason.unwrap_or_default()
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.0.outcome
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let problem = Self::from(refused.reason);
        match problem.0.retry_after_ms {
            Some(_) => problem.with_retry_after(refused.retry_after),
            None => problem,
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::QueueFull => Self::shed(ShedReason::QueueFull),
            SubmitError::QueueDelay => Self::shed(ShedReason::QueueDelay),
            SubmitError::Deadline => Self::shed(ShedReason::Deadline),
            SubmitError::ClientShare => Self::shed(ShedReason::ClientShare),
            SubmitError::BreakerOpen => Self::shed(ShedReason::BreakerOpen),
            SubmitError::Draining => Self::shed(ShedReason::Draining),
            SubmitError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request is larger than one batch may be",
            ),
        }
    }
}

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::Deadline => Self::shed(ShedReason::Deadline),
            TicketError::QueueDelay => Self::shed(ShedReason::QueueDelay),
            TicketError::Draining => Self::shed(ShedReason::Draining),
            TicketError::RolledBack => Self::shed(ShedReason::RolledBack),
            TicketError::Unknown => Self::unknown(
                "the request was sent to the database and its result was not learnt; send the same \
                 id again, or read it",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry_after_secs = self.retry_after_secs();
        let Body { status, close, .. } = *self.0;
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(secs) = retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, secs.into());
        }
        if close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
