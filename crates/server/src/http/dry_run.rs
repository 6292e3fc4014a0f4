use super::problem::Problem;
use super::read;
use giro_batcher::{SubmitError, TicketError};
use giro_ledger::{ArrayCall, DryRun, ReadError, Readers, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Dry runs that may wait for their turn; more are refused at once.
const WAITING_MAX: usize = 16;

/// Judges requests without applying them, beside the lanes and one at a time: the work of a dry run is
/// that of a batch, and it must not take the place of real ones.
pub(crate) struct DryRuns {
    readers: Readers,
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    /// A turn ends with its statement, which PostgreSQL's own time-out bounds; on a session that hangs,
    /// after this long.
    turn_max: Duration,
}

impl DryRuns {
    /// A turn must be longer than it takes to open a session and to end a statement on it.
    pub(crate) fn new(readers: Readers, turn_max: Duration) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { readers, places: semaphore(1 + WAITING_MAX), turn: semaphore(1), turn_max }
    }

    /// What each item would come to.
    pub(super) async fn judge<C: ArrayCall>(
        &self,
        items: Vec<C::Item>,
        deadline: Instant,
    ) -> Result<Vec<(C::Item, Verdict<C::Applied>)>, Problem> {
        let late = || Problem::from(TicketError::Deadline);
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Problem::from(SubmitError::QueueFull))?;
        let turn = timeout_at(deadline, self.turn.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| late())?;
        let (readers, turn_max) = (self.readers.clone(), self.turn_max);
        // A task of its own: the statement runs on when its caller has left or has run out of time, and
        // the next one must not run beside it.
        let judged = tokio::spawn(async move {
            let _held = (place, turn);
            let mut requests = [items];
            let dry_run = DryRun::<C> { requests: &requests };
            let judged = readers.read(&dry_run, Instant::now() + turn_max).await;
            judged.map(|verdicts| {
                let [items] = &mut requests;
                std::mem::take(items).into_iter().zip(verdicts).collect()
            })
        });
        match timeout_at(deadline, judged).await {
            Ok(Ok(Ok(judged))) => Ok(judged),
            Err(_) | Ok(Ok(Err(ReadError::Deadline))) => Err(late()),
            Ok(Ok(Err(error))) => Err(read::failed(error).not_applied()),
            Ok(Err(panicked)) => {
                tracing::error!("a dry run failed: {panicked}");
                Err(read::unavailable().not_applied())
            }
        }
    }
}
