//! GET of what there are many of, page by page.

use super::cursor::Cursor;
use super::problem::Problem;
use super::query::{Listing, Parameters};
use super::read::{Reading, id_in};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use giro_ledger::{
    BalanceAt, Id, ListAccounts, ListBalances, ListTransfers, Moment, Order, Page, Side,
};
use serde::ser::{Serialize, SerializeMap, Serializer};
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

/// `GET /transfers`
pub(super) async fn transfers(
    State(reading): State<Reading>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    transfers_of(&reading, None, &uri, &headers).await
}

/// `GET /accounts/{id}/transfers`
pub(super) async fn account_transfers(
    State(reading): State<Reading>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    transfers_of(&reading, Some(id_in(path)?), &uri, &headers).await
}

async fn transfers_of(
    reading: &Reading,
    account: Option<Id>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (list, listing) = transfer_list(account, uri)?;
    let Page { items, next } = reading.read(&list, headers).await?;
    let next = next.map(|seq| listing.after(seq.unsigned_abs().into()));
    Ok(Json(Body { name: "transfers", items, next }).into_response())
}

/// What a URL asks of the transfers of a ledger, or of an account.
pub(super) fn transfer_list(
    account: Option<Id>,
    uri: &Uri,
) -> Result<(ListTransfers, Listing), Problem> {
    let mut parameters = Parameters::of(uri)?;
    let side = match account {
        Some(_) => {
            parameters.choice("side", &[("debit", Side::Debit), ("credit", Side::Credit)])?
        }
        None => None,
    };
    let list = ListTransfers {
        ledger: parameters.ledger()?,
        account,
        side,
        pending_id: parameters.value("pending_id")?,
        code: parameters.code()?,
        reference: parameters.reference()?,
        metadata: parameters.metadata()?,
        times: parameters.times()?,
        seqs: parameters.seqs()?,
        order: parameters.order(Order::Descending)?,
        limit: parameters.limit()?,
        after: parameters.cursor()?,
    };
    Ok((list, parameters.finish()?))
}

/// `GET /accounts`
pub(super) async fn accounts(
    State(reading): State<Reading>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (list, listing) = account_list(&uri)?;
    let Page { items, next } = reading.read(&list, &headers).await?;
    let next = next.map(|id| listing.after(id.into()));
    Ok(Json(Body { name: "accounts", items, next }).into_response())
}

/// What a URL asks of the accounts of a ledger.
pub(super) fn account_list(uri: &Uri) -> Result<(ListAccounts, Listing), Problem> {
    let mut parameters = Parameters::of(uri)?;
    let list = ListAccounts {
        ledger: parameters.ledger()?,
        code: parameters.code()?,
        flags: parameters.value("flags")?.unwrap_or_default(),
        reference: parameters.reference()?,
        metadata: parameters.metadata()?,
        times: parameters.times()?,
        order: parameters.order(Order::Ascending)?,
        limit: parameters.limit()?,
        after: parameters.cursor()?,
    };
    Ok((list, parameters.finish()?))
}

/// `GET /accounts/{id}/balances`
pub(super) async fn balances(
    State(reading): State<Reading>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match balances_of(id_in(path)?, &uri)? {
        Balances::Then(then) => Ok(Json(reading.read(&then, &headers).await?).into_response()),
        Balances::Page(list, listing) => {
            let Page { items, next } = reading.read(&list, &headers).await?;
            let next = next.map(|seq| listing.after(seq.unsigned_abs().into()));
            Ok(Json(Body { name: "balances", items, next }).into_response())
        }
    }
}

/// The balances of an account, at one moment or after each transfer.
pub(super) enum Balances {
    Then(BalanceAt),
    Page(ListBalances, Listing),
}

/// What a URL asks of the balances of an account.
pub(super) fn balances_of(account: Id, uri: &Uri) -> Result<Balances, Problem> {
    let mut parameters = Parameters::of(uri)?;
    let ledger = parameters.ledger()?;
    if let Some(at) = parameters.value::<Moment>("at")? {
        parameters.finish()?;
        return Ok(Balances::Then(BalanceAt { ledger, account, at }));
    }
    let list = ListBalances {
        ledger,
        account,
        times: parameters.times()?,
        seqs: parameters.seqs()?,
        order: parameters.order(Order::Descending)?,
        limit: parameters.limit()?,
        after: parameters.cursor()?,
    };
    Ok(Balances::Page(list, parameters.finish()?))
}

/// A page: its items under their name, and where the next one goes on.
struct Body<T> {
    name: &'static str,
    items: Vec<T>,
    next: Option<Cursor>,
}

impl<T: Serialize> Serialize for Body<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry(self.name, &self.items)?;
        if let Some(next) = &self.next {
            body.serialize_entry("next_cursor", next)?;
        }
        body.end()
    }
}

/// A page of one item, with more after it; an example.
pub(super) fn shown_page(uri: &Uri, name: &'static str, item: impl Serialize) -> impl Serialize {
    let listing = Parameters::of(uri).and_then(Parameters::finish).ok();
    Body { name, items: vec![item], next: listing.map(|listing| listing.after(1)) }
}

/// What such a page looks like.
pub(super) fn page_schema(name: &str, item: Ref) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(name, ArrayBuilder::new().items(item))
        .required(name)
        .property(
            "next_cursor",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some(Cursor::PATTERN))
                .description(Some("Give it as `cursor` for the next page; absent at the end.")),
        )
}
