//! `POST`: one or many, transfers or accounts.

use super::examples::{self, Described};
use super::replies::{self, Examples, answered, content};
use super::schemas::Schemas;
use super::{faults, parameters};
use crate::http::answer::{AppliedItem, RejectedItem};
use crate::http::body::Object;
use crate::http::cancel;
use crate::http::resource::{Accounts, Transfers};
use crate::http::submit::{self, RequestLimits};
use giro_ledger::{AccountInput, AccountRecord, TransferInput, TransferRecord};
use serde_json::Value;
use utoipa::openapi::path::{Operation, OperationBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ArrayItems};
use utoipa::openapi::{Ref, RefOr, Required, Schema};

/// `POST /transfer`
pub(super) fn transfer(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let sent = schemas.of::<TransferInput>();
    one::<Transfers>(limits, sent, applied_transfer(schemas))
        .parameter(parameters::dry_run())
        .tag("Transfers")
        .operation_id(Some("create_transfer"))
        .summary(Some("Make a transfer, a hold, or post or void a hold"))
        .description(Some("Answered when it is durable. The same id again is answered the same."))
        .build()
}

/// `POST /transfers`
pub(super) fn transfers(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let sent = schemas.of::<TransferInput>();
    let applied = applied_transfer(schemas);
    many::<Transfers>(limits, sent, applied, schemas)
        .parameter(parameters::dry_run())
        .tag("Transfers")
        .operation_id(Some("create_transfers"))
        .summary(Some("Make many transfers"))
        .description(Some(
            "Admitted all or none, judged in order, answered by position when all are durable. Chains \
             of `linked` transfers live inside one request.",
        ))
        .build()
}

/// `POST /transfers/{id}/cancel`
pub(super) fn cancel(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let id = Transfers::shown_id();
    let bad = vec![
        ("id", faults::id()),
        ("ledger", faults::ledger()),
        ("parameter", faults::parameter()),
        ("deadline", faults::deadline(limits)),
    ];
    let replies = [
        replies::ok(
            "It was applied before, and stays so",
            applied_transfer(schemas),
            vec![("applied_before", examples::applied_before())],
        ),
        replies::bad_request(bad),
        replies::rejected(examples::cancelled()),
        replies::shed(Some(id)),
        replies::unknown_or(Some(id), vec![("unread", cancel::unread(id))]),
        replies::no_method(),
    ];
    let operation =
        OperationBuilder::new().parameter(parameters::id()).parameter(parameters::ledger());
    answered(parameters::headers(operation), replies)
        .tag("Transfers")
        .operation_id(Some("cancel_transfer"))
        .summary(Some("Settle a transfer's id for good"))
        .description(Some(
            "For an id whose outcome is `unknown` and whose transfer is no longer wanted. Decided before: \
             that answer. Else the id is refused for good, as `cancelled`, and whatever still comes with \
             it. It takes back nothing: an applied hold is voided by a transfer. A body is not read.",
        ))
        .build()
}

/// `POST /account`
pub(super) fn account(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let sent = schemas.of::<AccountInput>();
    one::<Accounts>(limits, sent, applied_account(schemas))
        .tag("Accounts")
        .operation_id(Some("create_account"))
        .summary(Some("Create an account"))
        .description(Some("Answered when it is durable. The same id again is answered the same."))
        .build()
}

/// `POST /accounts`
pub(super) fn accounts(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let sent = schemas.of::<AccountInput>();
    let applied = applied_account(schemas);
    many::<Accounts>(limits, sent, applied, schemas)
        .tag("Accounts")
        .operation_id(Some("create_accounts"))
        .summary(Some("Create many accounts"))
        .description(Some("Admitted all or none, answered by position when all are durable."))
        .build()
}

fn applied_transfer(schemas: &mut Schemas) -> Ref {
    schemas.named::<AppliedItem<TransferRecord>>("AppliedTransfer")
}

fn applied_account(schemas: &mut Schemas) -> Ref {
    schemas.named::<AppliedItem<AccountRecord>>("AppliedAccount")
}

fn one<R: Described>(limits: &RequestLimits, sent: Ref, applied: Ref) -> OperationBuilder {
    let id = Some(R::shown_id());
    let bad = vec![
        ("fault_in_a_field", faults::body::<Object<R::Input>>(R::FAULTY)),
        ("deadline", faults::deadline(limits)),
        ("idempotency_key", submit::mismatched_key()),
    ];
    let operation = parameters::headers(OperationBuilder::new())
        .parameter(parameters::idempotency_key())
        .request_body(Some(body(sent, R::sent())));
    let replies = [
        replies::ok("Applied, now or before (`replayed`)", applied, R::applied()),
        replies::bad_request(bad),
        replies::rejected(R::rejected()),
        replies::shed(id),
        replies::unknown(id),
        replies::no_method(),
    ];
    answered(operation, replies.into_iter().chain(replies::unread(limits.body_bytes)))
}

fn many<R: Described>(
    limits: &RequestLimits,
    sent: Ref,
    applied: Ref,
    schemas: &mut Schemas,
) -> OperationBuilder {
    let item = AnyOfBuilder::new().item(applied).item(schemas.of::<RejectedItem>());
    let bad = vec![
        ("fault_in_a_field", faults::body::<Vec<Object<R::Input>>>(&R::faulty_many())),
        ("no_items", submit::wrong_length(0, limits.items)),
        ("idempotency_key", submit::key_for_many()),
    ];
    let operation = parameters::headers(OperationBuilder::new())
        .request_body(Some(body(array(sent, limits), R::sent_many())));
    let text = "Every item was judged; each carries its own outcome";
    let replies = [
        replies::ok(text, array(Schema::from(item), limits), R::answered_many()),
        replies::bad_request(bad),
        replies::shed(None),
        replies::unknown(None),
        replies::no_method(),
    ];
    answered(operation, replies.into_iter().chain(replies::unread(limits.bulk_body_bytes)))
}

fn array(item: impl Into<RefOr<Schema>>, limits: &RequestLimits) -> RefOr<Schema> {
    let items = ArrayItems::RefOrSchema(Box::new(item.into()));
    let array = ArrayBuilder::new().items(items).min_items(Some(1)).max_items(Some(limits.items));
    Schema::from(array).into()
}

fn body(schema: impl Into<RefOr<Schema>>, examples: Examples<Value>) -> RequestBody {
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content(schema, examples))
        .build()
}
