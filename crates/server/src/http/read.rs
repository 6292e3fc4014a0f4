use super::deadline::deadline;
use super::problem::Problem;
use super::submit::RequestLimits;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use giro_ledger::{Id, ReadError, Readers, TransferState};
use serde::Deserialize;
use std::sync::Arc;

type Reading = State<Arc<(Readers, RequestLimits)>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InLedger {
    ledger: Option<u32>,
}

/// What a read names: an id and a ledger.
struct Key {
    ledger: i32,
    id: Id,
}

/// `GET /accounts/{id}`
pub(super) async fn account(
    State(reading): Reading,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<InLedger>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (readers, limits) = &*reading;
    let deadline = deadline(&headers, limits.timeout, limits.timeout_max)?;
    let Key { ledger, id } = key(path, query)?;
    match readers.account(ledger, id, deadline).await.map_err(failed)? {
        Some(account) => Ok(Json(account).into_response()),
        None => Err(Problem::not_found(id, None)),
    }
}

/// `GET /transfers/{id}`
pub(super) async fn transfer(
    State(reading): Reading,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<InLedger>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (readers, limits) = &*reading;
    let deadline = deadline(&headers, limits.timeout, limits.timeout_max)?;
    let Key { ledger, id } = key(path, query)?;
    match readers.transfer(ledger, id, deadline).await.map_err(failed)? {
        TransferState::Applied(transfer) => Ok(Json(transfer).into_response()),
        TransferState::Rejected(reason) => Err(Problem::not_found(id, Some(reason))),
        TransferState::Undecided => Err(Problem::not_found(id, None)),
    }
}

fn key(
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<InLedger>, QueryRejection>,
) -> Result<Key, Problem> {
    let Path(id) = path.map_err(|_| Problem::bad_field("id", "is not UTF-8"))?;
    let id = id.parse().map_err(|problem| Problem::bad_field("id", problem))?;
    let Query(query) = query.map_err(|error| Problem::bad(error.body_text()))?;
    let ledger = i32::try_from(query.ledger.unwrap_or(1)).ok().filter(|ledger| *ledger > 0);
    let ledger = ledger.ok_or_else(|| {
        Problem::bad_field("ledger", "must be a whole number from 1 to 2147483647")
    })?;
    Ok(Key { ledger, id })
}

fn failed(error: ReadError) -> Problem {
    match error {
        ReadError::Deadline => {
            Problem::read_failed(StatusCode::GATEWAY_TIMEOUT, "the deadline passed")
        }
        ReadError::Database(detail) => {
            tracing::error!("a read failed: {detail}");
            Problem::read_failed(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    }
}
