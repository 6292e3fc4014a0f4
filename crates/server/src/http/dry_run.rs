use super::problem::Problem;
use super::read;
use giro_batcher::{SubmitError, TicketError};
use giro_ledger::{ArrayCall, DryRun, ReadError, Readers, Verdict};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Dry runs that may wait for their turn; more are refused at once.
const WAITING_MAX: usize = 16;

/// Judges requests without applying them, beside the lanes and one at a time: the work of a dry run is
/// that of a batch, and it must not take the place of real ones.
pub(crate) struct DryRuns {
    readers: Readers,
    places: Semaphore,
    turn: Semaphore,
}

impl DryRuns {
    pub(crate) fn new(readers: Readers) -> Self {
        Self { readers, places: Semaphore::new(1 + WAITING_MAX), turn: Semaphore::new(1) }
    }

    /// What each item would come to.
    pub(super) async fn judge<C: ArrayCall>(
        &self,
        items: Vec<C::Item>,
        deadline: Instant,
    ) -> Result<Vec<(C::Item, Verdict<C::Applied>)>, Problem> {
        let _place =
            self.places.try_acquire().map_err(|_| Problem::from(SubmitError::QueueFull))?;
        let turn = timeout_at(deadline, self.turn.acquire()).await;
        let _turn = turn.map_err(|_| Problem::from(TicketError::Deadline))?;
        let mut requests = [items];
        let judged = self.readers.read(&DryRun::<C> { requests: &requests }, deadline).await;
        let verdicts = judged.map_err(|error| match error {
            ReadError::Deadline => TicketError::Deadline.into(),
            error => read::failed(error).not_applied(),
        })?;
        let [items] = &mut requests;
        Ok(std::mem::take(items).into_iter().zip(verdicts).collect())
    }
}
