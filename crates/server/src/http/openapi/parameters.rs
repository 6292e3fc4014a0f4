use crate::http::cursor::Cursor;
use crate::http::query::{LIMIT, LIMIT_MAX};
use crate::http::submit::RequestLimits;
use giro_ledger::json_schema::{self, id_pattern};
use giro_ledger::{AccountFlags, Metadata, Reference};
use serde_json::Value;
use utoipa::PartialSchema;
use utoipa::openapi::path::{
    OperationBuilder, Parameter, ParameterBuilder, ParameterIn, ParameterStyle,
};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, Schema};

/// What several calls refer to, by its name.
pub(super) fn shared(limits: &RequestLimits) -> [(&'static str, Parameter); 2] {
    [("RequestTimeout", timeout(limits)), ("RequestId", request_id())]
}

/// The headers that every call takes.
pub(super) fn headers(operation: OperationBuilder) -> OperationBuilder {
    ["RequestTimeout", "RequestId"].into_iter().fold(operation, |operation, name| {
        operation.parameter_ref(Ref::new(format!("#/components/parameters/{name}")))
    })
}

fn timeout(limits: &RequestLimits) -> Parameter {
    let text = "The caller's deadline in milliseconds. Still queued then: 503, it never ran. Sent: 504, \
                its result is not known.";
    let schema = whole(1, limits.timeout_max.as_millis() as usize)
        .default(Some(Value::from(limits.timeout.as_millis() as u64)));
    optional("Request-Timeout-Ms", ParameterIn::Header, text, schema)
}

fn request_id() -> Parameter {
    let text = "Returned in the reply and written to the log, if it is up to 64 visible ASCII \
                characters; else a new one.";
    let schema = ObjectBuilder::new().schema_type(Type::String);
    optional("x-request-id", ParameterIn::Header, text, schema)
}

/// The header that may carry the id of a single transfer or account.
pub(super) fn idempotency_key() -> Parameter {
    let id = id_pattern();
    let id = id.trim_start_matches('^').trim_end_matches('$');
    let schema = text(format!("^({id}|\"{id}\")$"));
    let what = "The id, if the body has none: bare, or quoted as the IETF draft has it.";
    optional("Idempotency-Key", ParameterIn::Header, what, schema)
}

/// The id in a path.
pub(super) fn id() -> Parameter {
    let schema = text(id_pattern());
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("A UUID, or a whole number from 0 to 2^128-1"))
        .schema(Some(schema))
        .build()
}

/// The ledger in a query.
pub(super) fn ledger() -> Parameter {
    let schema = whole(1, i32::MAX as usize).default(Some(1.into()));
    query("ledger", "The ledger", schema)
}

/// Whether a transfer is only to be judged.
pub(super) fn dry_run() -> Parameter {
    let text = "`true`: say what would happen now, and change nothing";
    query("dry_run", text, ObjectBuilder::new().schema_type(Type::Boolean))
}

/// The hold that a transfer resolved.
pub(super) fn pending_id() -> Parameter {
    query("pending_id", "What posted or voided this hold", text(id_pattern()))
}

/// The caller's type of transfer or account.
pub(super) fn code() -> Parameter {
    query("code", "Of this type only", whole(1, 65535))
}

/// The caller's own text and object.
pub(super) fn notes() -> [Parameter; 2] {
    let mut metadata = query("metadata", "With this in their metadata only", Reference::schema());
    metadata.schema = None;
    let schema = Some(Metadata::schema());
    metadata.content = [("application/json".to_owned(), Content::new(schema).into())].into();
    [query("reference", "With this text only", Reference::schema()), metadata]
}

/// A range of time.
pub(super) fn times() -> [Parameter; 2] {
    [
        query("from", "Created then or later", json_schema::timestamp()),
        query("until", "Created earlier", json_schema::timestamp()),
    ]
}

/// A range of places in the history.
pub(super) fn seqs() -> [Parameter; 2] {
    let seq = || whole(0, i64::MAX as usize);
    [
        query("seq_from", "With this `seq` or a greater one", seq()),
        query("seq_until", "With a smaller `seq`", seq()),
    ]
}

/// A place in the history of an account.
pub(super) fn at() -> Parameter {
    let text =
        "As they were then, or right after this `seq`; without other parameters but `ledger`";
    let schema =
        AnyOfBuilder::new().item(json_schema::timestamp()).item(whole(0, i64::MAX as usize));
    query("at", text, Schema::from(schema))
}

/// What accounts must have, all of it.
pub(super) fn account_flags() -> Parameter {
    let mut flags = query("flags", "With all of these flags only", AccountFlags::schema());
    (flags.style, flags.explode) = (Some(ParameterStyle::Form), Some(false));
    flags
}

/// How a listing is read.
pub(super) fn paging(order: &str) -> [Parameter; 3] {
    let order = names(["asc", "desc"]).default(Some(order.into()));
    let limit = whole(1, LIMIT_MAX.into()).default(Some(LIMIT.into()));
    [
        query("order", "In which direction", order),
        query("limit", "Items of a page, at most", limit),
        query(
            "cursor",
            "The `next_cursor` of the page before; all other parameters but `limit` as they were",
            text(Cursor::PATTERN),
        ),
    ]
}

/// One of two words.
pub(super) fn choice(name: &str, text: &str, words: [&str; 2]) -> Parameter {
    query(name, text, names(words))
}

fn names(words: [&str; 2]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

fn text(pattern: impl Into<String>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn query(name: &str, text: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    optional(name, ParameterIn::Query, text, schema)
}

fn whole(min: usize, max: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

fn optional(
    name: &str,
    place: ParameterIn,
    text: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema))
        .build()
}
