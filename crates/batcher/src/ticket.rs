use crate::BatchError;
use crate::queue::{Queue, Reply, Undone};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// A caller's claim on the outcome of its request. Dropping it while the request is queued gives the
/// place back and the request never runs; after dispatch the request runs and nobody is told.
#[must_use = "dropping a ticket withdraws the request"]
pub struct Ticket<R, O> {
    queue: Arc<Queue<R, O>>,
    number: u64,
    deadline: Instant,
    reply: oneshot::Receiver<Reply<O>>,
    answered: bool,
}

/// Why there is no outcome; says whether the request can have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketError {
    /// Still queued at its deadline, or its lane could not send it by then: it never ran.
    Deadline,
    /// Still queued when the batcher gave up draining: it never ran.
    Draining,
    /// Its batch was provably not applied.
    NotApplied,
    /// Dispatched, result not learnt by the deadline: it may have run, or may still.
    Unknown,
}

impl<R, O> Ticket<R, O> {
    pub(crate) fn new(
        queue: Arc<Queue<R, O>>,
        number: u64,
        deadline: Instant,
        reply: oneshot::Receiver<Reply<O>>,
    ) -> Self {
        Self {
            queue,
            number,
            deadline,
            reply,
            answered: false,
        }
    }

    /// Waits for the outcome, until the deadline at the latest.
    pub async fn outcome(mut self) -> Result<O, TicketError> {
        let reply = match timeout_at(self.deadline, &mut self.reply).await {
            Ok(reply) => reply,
            // Whoever takes the entry out of the queue decides: gone means dispatched.
            Err(_) if self.queue.withdraw(self.number).is_some() => {
                self.answered = true;
                self.queue.metrics().expired.inc();
                return Err(TicketError::Deadline);
            }
            // It may have been answered between the time-out and the look.
            Err(_) => self
                .reply
                .try_recv()
                .or(Ok(Err(Undone::Lane(BatchError::Unknown)))),
        };
        self.answered = true;
        match reply {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(Undone::Expired)) => Err(TicketError::Deadline),
            Ok(Err(Undone::Abandoned)) => Err(TicketError::Draining),
            Ok(Err(Undone::Lane(BatchError::NotApplied))) => Err(TicketError::NotApplied),
            // A dropped reply is a batch task that died: it may have been sent.
            Ok(Err(Undone::Lane(BatchError::Unknown))) | Err(_) => Err(TicketError::Unknown),
        }
    }
}

impl<R, O> Drop for Ticket<R, O> {
    fn drop(&mut self) {
        if !self.answered && self.queue.withdraw(self.number).is_some() {
            self.queue.metrics().departed.inc();
        }
    }
}
