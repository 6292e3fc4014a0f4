//! What replies have in common, and those that are not 2xx. Their examples are made by the functions
//! that answer.

use super::examples::to_json;
use super::schemas::{any_problem, problem, problem_perhaps_with, problem_with};
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::read;
use crate::http::submit::RequestLimits;
use crate::outcome::{Outcome, ShedReason};
use giro_batcher::TicketError;
use giro_ledger::{Id, Reason};
use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    Content, Header, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder, Schema,
};

/// A status, and the reply that has it.
pub(super) type Reply = (&'static str, RefOr<Response>);
/// Examples by their names.
pub(super) type Examples<T> = Vec<(&'static str, T)>;

/// An operation with its replies, by their status.
pub(super) fn answered(
    operation: OperationBuilder,
    replies: impl IntoIterator<Item = Reply>,
) -> OperationBuilder {
    operation.responses(ResponsesBuilder::new().responses_from_iter(replies))
}

/// A body with its examples.
pub(super) fn content(schema: impl Into<RefOr<Schema>>, examples: Examples<Value>) -> Content {
    let example = |value| -> Example { ExampleBuilder::new().value(Some(value)).build() };
    let examples = examples.into_iter().map(|(name, value)| (name, example(value)));
    ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
}

/// 200
pub(super) fn ok(text: &str, schema: impl Into<RefOr<Schema>>, examples: Examples<Value>) -> Reply {
    let reply = ResponseBuilder::new().description(text);
    ("200", headed(reply).content("application/json", content(schema, examples)).into())
}

/// A request that is at fault.
pub(super) fn bad_request(examples: Examples<Problem>) -> Reply {
    let text = "Malformed: `field` names the fault, and `index` its place in an array";
    ("400", refused(text, problem(Outcome::NotApplied), examples).into())
}

/// A read that found nothing.
pub(super) fn not_found(text: &str, examples: Examples<Problem>) -> Reply {
    ("404", refused(text, any_problem(), examples).into())
}

/// A single transfer or account that was judged and refused.
pub(super) fn rejected(examples: Examples<Problem>) -> Reply {
    let text = "Judged and refused, for the `reason` given";
    ("422", refused(text, problem_with::<Reason>(Outcome::Rejected), examples).into())
}

/// A request that did not run.
pub(super) fn shed(id: Option<Id>) -> Reply {
    let text = "It never ran, or was rolled back: send it again. Without a `reason`: the database did \
                not answer a dry run";
    let examples = ShedReason::ALL.map(|reason| (reason.name(), named(Problem::shed(reason), id)));
    let schema = problem_perhaps_with::<ShedReason>(Outcome::NotApplied);
    ("503", refused(text, schema, examples.into()).into())
}

/// A request whose result is not known.
pub(super) fn unknown(id: Option<Id>) -> Reply {
    unknown_or(id, Vec::new())
}

/// A request whose result is not known, or cannot be shown.
pub(super) fn unknown_or(id: Option<Id>, more: Examples<Problem>) -> Reply {
    let text = "Sent, and its result was not learnt before the deadline: send the same ids again";
    let mut examples = vec![("unknown", named(Problem::from(TicketError::Unknown), id))];
    examples.extend(more);
    ("504", refused(text, problem(Outcome::Unknown), examples).into())
}

/// A path with another method.
pub(super) fn no_method() -> Reply {
    ("405", Ref::from_response_name("MethodNotAllowed").into())
}

/// A body that was not read.
pub(super) fn unread(max_bytes: usize) -> [Reply; 3] {
    let text = "More than a request or a batch may hold";
    let examples = vec![("too_large", body::too_large(max_bytes))];
    [
        ("408", Ref::from_response_name("TooSlow").into()),
        ("413", refused(text, problem(Outcome::NotApplied), examples).into()),
        ("415", Ref::from_response_name("NotJson").into()),
    ]
}

/// A read that failed.
pub(super) fn not_read() -> [Reply; 2] {
    [
        ("503", Ref::from_response_name("Unavailable").into()),
        ("504", Ref::from_response_name("Late").into()),
    ]
}

/// What several calls refer to, by its name.
pub(super) fn shared(limits: &RequestLimits) -> [(&'static str, Response); 5] {
    let not_applied =
        |text, name, example| refused(text, problem(Outcome::NotApplied), vec![(name, example)]);
    let not_read = |text, name, example| refused(text, any_problem(), vec![(name, example)]);
    let too_slow = body::too_slow(limits.body_timeout);
    let mut no_method = not_applied("Not a method of this path", "no_method", Problem::no_method());
    let allow = header("The methods that the path takes", Type::String);
    no_method.headers.insert("Allow".into(), allow.into());
    [
        ("MethodNotAllowed", no_method),
        ("TooSlow", not_applied("The body was not complete in time", "too_slow", too_slow)),
        ("NotJson", not_applied("The body is not JSON", "not_json", body::not_json())),
        (
            "Unavailable",
            not_read("The database does not answer", "unavailable", read::unavailable()),
        ),
        ("Late", not_read("Not read before the deadline", "late", read::late())),
    ]
}

fn named(problem: Problem, id: Option<Id>) -> Problem {
    match id {
        Some(id) => problem.with_id(id),
        None => problem,
    }
}

fn refused(text: &str, schema: impl Into<RefOr<Schema>>, examples: Examples<Problem>) -> Response {
    let waits = examples.iter().any(|(_, problem)| problem.retry_after_secs().is_some());
    let examples = examples.into_iter().map(|(name, problem)| (name, to_json(&problem))).collect();
    let reply = ResponseBuilder::new().description(text);
    let mut reply = headed(reply).content("application/problem+json", content(schema, examples));
    if waits {
        reply = reply.header("Retry-After", header("Seconds, at least", Type::Integer));
    }
    reply.build()
}

fn headed(reply: ResponseBuilder) -> ResponseBuilder {
    reply.header("x-request-id", header("Of the request, or a new one", Type::String))
}

fn header(text: &str, kind: Type) -> Header {
    let schema = ObjectBuilder::new().schema_type(kind);
    HeaderBuilder::new().description(Some(text)).schema(Some(schema)).build()
}
