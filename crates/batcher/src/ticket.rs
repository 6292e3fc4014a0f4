use crate::BatchError;
use crate::queue::{Expiry, Queue, Reply, Undone};
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
    expiry: Expiry,
    reply: oneshot::Receiver<Reply<O>>,
    answered: bool,
}

/// Why there is no outcome; says whether the request can have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketError {
    /// Not sent until its deadline: it never ran.
    Deadline,
    /// Queued for as long as the queue allows: it never ran.
    QueueDelay,
    /// Still queued when the batcher gave up draining: it never ran.
    Draining,
    /// Its batch was sent and rolled back: nothing of it was applied.
    RolledBack,
    /// Dispatched, result not learnt by the deadline: it may have run, or may still.
    Unknown,
}

impl<R, O> Ticket<R, O> {
    pub(crate) fn new(
        queue: Arc<Queue<R, O>>,
        number: u64,
        deadline: Instant,
        expiry: Expiry,
        reply: oneshot::Receiver<Reply<O>>,
    ) -> Self {
        Self { queue, number, deadline, expiry, reply, answered: false }
    }

    /// Waits for the outcome, until the deadline at the latest.
    pub async fn outcome(mut self) -> Result<O, TicketError> {
        let reply = self.reply().await;
        self.answered = true;
        match reply {
            Ok(outcome) => Ok(outcome),
            Err(Undone::Expired(Expiry { by_deadline: true, .. })) => Err(TicketError::Deadline),
            Err(Undone::Expired(_)) => Err(TicketError::QueueDelay),
            Err(Undone::Abandoned) => Err(TicketError::Draining),
            Err(Undone::Lane(BatchError::NotSent)) => Err(TicketError::Deadline),
            Err(Undone::Lane(BatchError::RolledBack)) => Err(TicketError::RolledBack),
            Err(Undone::Lane(BatchError::Unknown)) => Err(TicketError::Unknown),
        }
    }

    async fn reply(&mut self) -> Reply<O> {
        // A reply that was dropped is a batch task that died: it may have been sent.
        const UNKNOWN: Undone = Undone::Lane(BatchError::Unknown);
        if let Ok(reply) = timeout_at(self.expiry.at, &mut self.reply).await {
            return reply.unwrap_or(Err(UNKNOWN));
        }
        // Whoever takes the entry out of the queue decides: gone means dispatched, or answered.
        if self.queue.withdraw(self.number).is_some() {
            self.queue.metrics().expired.inc();
            return Err(Undone::Expired(self.expiry));
        }
        match timeout_at(self.deadline, &mut self.reply).await {
            Ok(reply) => reply.unwrap_or(Err(UNKNOWN)),
            Err(_) => Err(UNKNOWN),
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
