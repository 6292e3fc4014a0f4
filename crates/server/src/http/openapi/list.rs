//! `GET`: what there are many of, page by page.

use super::examples::{self, to_json};
use super::replies::{self, Reply, answered};
use super::schemas::Schemas;
use super::{faults, parameters};
use crate::http::list::{page_schema, shown_page};
use crate::http::read;
use crate::http::submit::RequestLimits;
use axum::http::Uri;
use giro_ledger::{AccountRecord, BalanceRecord, ReadError, TransferRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::Schema;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter};
use utoipa::openapi::schema::AnyOfBuilder;

/// `GET /transfers`
pub(super) fn transfers(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    listing(limits, transfer_filters(), "desc", [transfer_page("/transfers", schemas)])
        .tag("Transfers")
        .operation_id(Some("list_transfers"))
        .summary(Some("List the transfers of a ledger, by seq"))
        .build()
}

/// `GET /accounts/{id}/transfers`
pub(super) fn account_transfers(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let side = parameters::choice("side", "Transfers that debit or credit it", ["debit", "credit"]);
    let filters = [parameters::id(), side].into_iter().chain(transfer_filters());
    let none = vec![("no_account", read::failed(ReadError::NoAccount))];
    let replies = [
        transfer_page("/accounts/1/transfers", schemas),
        replies::not_found("The ledger has no such account", none),
    ];
    listing(limits, filters, "desc", replies)
        .tag("Transfers")
        .operation_id(Some("list_account_transfers"))
        .summary(Some("List the transfers of an account, by seq"))
        .build()
}

/// `GET /accounts`
pub(super) fn accounts(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let record = examples::account_record();
    let schema = Schema::from(page_schema("accounts", schemas.of::<AccountRecord>()));
    let page = replies::ok("A page", schema, vec![("page", page("/accounts", "accounts", record))]);
    let filters = [parameters::code(), parameters::account_flags()].into_iter();
    let filters = filters.chain(parameters::notes()).chain(parameters::times());
    listing(limits, filters, "asc", [page])
        .tag("Accounts")
        .operation_id(Some("list_accounts"))
        .summary(Some("List the accounts of a ledger, by id"))
        .build()
}

/// `GET /accounts/{id}/balances`
pub(super) fn balances(limits: &RequestLimits, schemas: &mut Schemas) -> Operation {
    let record = schemas.of::<BalanceRecord>();
    let schema = AnyOfBuilder::new().item(page_schema("balances", record.clone())).item(record);
    let balance = to_json(&examples::balance());
    let page = page("/accounts/2/balances", "balances", balance.clone());
    let found = vec![("page", page), ("at", balance)];
    let none = vec![
        ("no_account", read::failed(ReadError::NoAccount)),
        ("no_history", read::failed(ReadError::NoHistory)),
        ("not_yet", read::failed(ReadError::NotYet)),
    ];
    let text = "No such account, or it keeps no history, or it was created after `at`";
    let replies = [
        replies::ok("A page; with `at` a single record", Schema::from(schema), found),
        replies::not_found(text, none),
    ];
    let filters = [parameters::id(), parameters::at()].into_iter();
    let filters = filters.chain(parameters::times()).chain(parameters::seqs());
    listing(limits, filters, "desc", replies)
        .tag("Accounts")
        .operation_id(Some("list_account_balances"))
        .summary(Some(
            "List the balances of an account with the flag history, or read them as they were",
        ))
        .build()
}

fn transfer_filters() -> impl Iterator<Item = Parameter> {
    let filters = [parameters::pending_id(), parameters::code()].into_iter();
    filters.chain(parameters::notes()).chain(parameters::times()).chain(parameters::seqs())
}

fn transfer_page(path: &'static str, schemas: &mut Schemas) -> Reply {
    let record = examples::transfer_record();
    let schema = Schema::from(page_schema("transfers", schemas.of::<TransferRecord>()));
    replies::ok("A page", schema, vec![("page", page(path, "transfers", record))])
}

/// A page of one item with more after it.
fn page(path: &'static str, name: &'static str, item: impl Serialize) -> Value {
    to_json(&shown_page(&Uri::from_static(path), name, item))
}

fn listing(
    limits: &RequestLimits,
    filters: impl IntoIterator<Item = Parameter>,
    order: &str,
    replies: impl IntoIterator<Item = Reply>,
) -> OperationBuilder {
    let bad = vec![
        ("limit", faults::limit()),
        ("parameter", faults::parameter()),
        ("deadline", faults::deadline(limits)),
    ];
    let common = [replies::bad_request(bad), replies::no_method()].into_iter();
    let operation = OperationBuilder::new()
        .parameters(Some(filters))
        .parameter(parameters::ledger())
        .parameters(Some(parameters::paging(order)));
    answered(
        parameters::headers(operation),
        replies.into_iter().chain(common).chain(replies::not_read()),
    )
}
