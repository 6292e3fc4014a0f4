//! `GET`: one transfer or account by its id.

use super::examples::{self, Described};
use super::replies::{self, answered};
use super::schemas::Schemas;
use super::{faults, parameters};
use crate::http::problem::Problem;
use crate::http::resource::Accounts;
use crate::http::submit::RequestLimits;
use giro_ledger::{AccountRecord, Reason, TransferRecord};
use utoipa::openapi::path::{Operation, OperationBuilder};

/// `GET /transfers/{id}`
pub(super) fn transfer(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let record = examples::transfer_record();
    let refused = examples::transfer_id(examples::REFUSED);
    let none = vec![
        ("undecided", Problem::not_found(examples::transfer_id(0xff), None)),
        ("rejected", Problem::not_found(refused, Some(Reason::ExceedsCredits))),
    ];
    let text = "Not applied: with a `reason`, it was refused for good; without, it was not decided when \
                it was read, and an attempt that ended `unknown` may still be applied";
    let replies = [
        replies::ok("It was applied", schemas.of::<TransferRecord>(), vec![("applied", record)]),
        replies::not_found(text, none),
    ];
    answered(by_id(), replies.into_iter().chain(common(limits)))
        .tag("Transfers")
        .operation_id(Some("get_transfer"))
        .summary(Some("Read what became of a transfer's id"))
        .build()
}

/// `GET /accounts/{id}`
pub(super) fn account(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let record = examples::account_record();
    let none = vec![("none", Problem::not_found(Accounts::shown_id(), None))];
    let replies = [
        replies::ok("It is there", schemas.of::<AccountRecord>(), vec![("account", record)]),
        replies::not_found("The ledger has no such account", none),
    ];
    answered(by_id(), replies.into_iter().chain(common(limits)))
        .tag("Accounts")
        .operation_id(Some("get_account"))
        .summary(Some("Read an account and its balances"))
        .build()
}

fn by_id() -> OperationBuilder {
    parameters::headers(
        OperationBuilder::new().parameter(parameters::id()).parameter(parameters::ledger()),
    )
}

fn common(limits: &RequestLimits) -> impl Iterator<Item = replies::Reply> {
    let bad = vec![
        ("id", faults::id()),
        ("ledger", faults::ledger()),
        ("parameter", faults::parameter()),
        ("deadline", faults::deadline(limits)),
    ];
    [replies::bad_request(bad), replies::no_method()].into_iter().chain(replies::not_read())
}
