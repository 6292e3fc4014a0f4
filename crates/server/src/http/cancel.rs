//! `POST /transfers/{id}/cancel`: settles an id for good. It goes the way of a transfer, through the queue
//! and a lane, so that one index decides between it and the transfer, wherever both are sent.

use super::answer::AppliedItem;
use super::client_key::ClientKey;
use super::problem::Problem;
use super::read::{id_in, ledger_in};
use super::resource::Transfers;
use super::submit::Intake;
use crate::outcome::{Outcome, ShedReason};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use giro_ledger::{Id, Readers, Reason, Transfer, TransferById, TransferState, Verdict};
use std::sync::Arc;
use tokio::time::Instant;

/// Where cancels come in.
#[derive(Clone)]
pub(super) struct Cancels {
    pub(super) intake: Arc<Intake<Transfers>>,
    /// For what had been applied before.
    pub(super) readers: Readers,
}

/// `POST /transfers/{id}/cancel`. A body says nothing, and is not read.
pub(super) async fn cancel(
    State(cancels): State<Cancels>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let response = cancels.cancel(path, &request.into_parts().0).await;
    response.unwrap_or_else(|problem| cancels.intake.failed(problem, 1))
}

impl Cancels {
    async fn cancel(
        &self,
        path: Result<Path<String>, PathRejection>,
        head: &Parts,
    ) -> Result<Response, Problem> {
        let client = ClientKey::in_extensions(&head.extensions);
        let caller = self.intake.caller(head, client, false)?;
        let (id, ledger) = (id_in(path)?, ledger_in(&head.uri)?);
        let cancel = vec![Transfer::cancel(ledger, id)];
        let verdicts = self.intake.judge(cancel, None, &caller).await;
        let verdict = verdicts.map_err(|problem| problem.with_id(id))?.into_iter().next();
        match verdict {
            Some((_, Verdict::Applied { .. })) => self.applied(ledger, id, caller.deadline).await,
            // Nothing was recorded: the id is as open as before.
            Some((_, Verdict::Rejected { reason: Reason::RefusedByDatabase, .. })) => {
                Err(Problem::shed(ShedReason::RolledBack).with_id(id))
            }
            Some((_, Verdict::Rejected { replayed, reason })) => {
                Err(Problem::rejected(id, reason, replayed))
            }
            None => {
                Err(Problem::unknown("the batch was answered without this request").with_id(id))
            }
        }
    }

    /// The transfer that the cancel came too late for.
    async fn applied(&self, ledger: i32, id: Id, deadline: Instant) -> Result<Response, Problem> {
        match self.readers.read(&TransferById { ledger, id }, deadline).await {
            Ok(TransferState::Applied(record)) => {
                self.intake.count(Outcome::Applied, "", 1);
                Ok(Json(AppliedItem::replayed(record)).into_response())
            }
            other => {
                tracing::warn!("a transfer that was applied could not be read: {other:?}");
                Err(unread(id))
            }
        }
    }
}

/// What has been applied cannot be shown. The same cancel again shows it.
pub(super) fn unread(id: Id) -> Problem {
    Problem::unknown(
        "the id is settled: its transfer had been applied, but could not be read; send the same \
         request again, or read it",
    )
    .with_id(id)
}
