//! GET of one thing by its id, and what all reads share.

use super::deadline::deadline;
use super::problem::Problem;
use super::query::Parameters;
use super::submit::RequestLimits;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use giro_ledger::{AccountById, Id, Read, ReadError, Readers, TransferById, TransferState};

/// Where reads are made.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) readers: Readers,
    pub(super) limits: RequestLimits,
}

impl Reading {
    /// Reads something before the caller's deadline.
    pub(super) async fn read<R: Read>(
        &self,
        what: &R,
        headers: &HeaderMap,
    ) -> Result<R::Output, Problem> {
        let deadline = deadline(headers, self.limits.timeout, self.limits.timeout_max)?;
        self.readers.read(what, deadline).await.map_err(failed)
    }
}

/// `GET /accounts/{id}`
pub(super) async fn account(
    State(reading): State<Reading>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id_in(path)?;
    match reading.read(&AccountById { ledger: ledger_in(&uri)?, id }, &headers).await? {
        Some(account) => Ok(Json(account).into_response()),
        None => Err(Problem::not_found(id, None)),
    }
}

/// `GET /transfers/{id}`
pub(super) async fn transfer(
    State(reading): State<Reading>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id_in(path)?;
    match reading.read(&TransferById { ledger: ledger_in(&uri)?, id }, &headers).await? {
        TransferState::Applied(transfer) => Ok(Json(transfer).into_response()),
        TransferState::Rejected(reason) => Err(Problem::not_found(id, Some(reason))),
        TransferState::Undecided => Err(Problem::not_found(id, None)),
    }
}

/// The id in a path.
pub(super) fn id_in(path: Result<Path<String>, PathRejection>) -> Result<Id, Problem> {
    let Path(id) = path.map_err(|_| Problem::bad_field("id", "is not UTF-8"))?;
    id.parse().map_err(|problem| Problem::bad_field("id", problem))
}

/// The ledger in a URL that has no other parameters.
pub(super) fn ledger_in(uri: &Uri) -> Result<i32, Problem> {
    let mut parameters = Parameters::of(uri)?;
    let ledger = parameters.ledger()?;
    parameters.finish()?;
    Ok(ledger)
}

/// Why there is no answer, as the caller is told.
pub(super) fn failed(error: ReadError) -> Problem {
    match error {
        ReadError::Deadline => late(),
        ReadError::NoAccount | ReadError::NotYet | ReadError::NoHistory => {
            Problem::nothing_there(error.to_string())
        }
        ReadError::NoIndex(_) => Problem::bad_field("metadata", &error.to_string()),
        ReadError::Unavailable(_) | ReadError::Lost(_) | ReadError::Database(_) => {
            tracing::error!("a read failed: {error}");
            unavailable()
        }
    }
}

pub(super) fn late() -> Problem {
    Problem::read_failed(StatusCode::GATEWAY_TIMEOUT, "the deadline passed")
}

pub(super) fn unavailable() -> Problem {
    Problem::read_failed(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
}
