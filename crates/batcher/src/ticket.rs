use crate::batcher::{Answer, Reply, Shared};
use crate::engine::Undone;
use crate::limits::Expiry;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// A caller's claim on the outcome of its request. Dropping it while the request is queued gives the
/// place back and the request never runs; once sent, the request runs and nobody is told.
#[must_use = "dropping a ticket withdraws the request"]
pub struct Ticket<R, O> {
    shared: Arc<Shared<R, O>>,
    number: u64,
    deadline: Instant,
    expiry: Expiry,
    reply: oneshot::Receiver<Reply<R, O>>,
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
    /// Sent and rolled back: nothing of it was applied.
    RolledBack,
    /// Sent, result not learnt by the deadline: it may have run, or may still.
    Unknown,
}

impl From<Undone> for TicketError {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Deadline => Self::Deadline,
            Undone::QueueDelay => Self::QueueDelay,
            Undone::Abandoned => Self::Draining,
            Undone::RolledBack => Self::RolledBack,
            // A poisoned request is an answer, and never comes here.
            Undone::Unknown | Undone::Poisoned => Self::Unknown,
        }
    }
}

impl<R, O> Ticket<R, O> {
    pub(crate) fn new(
        shared: Arc<Shared<R, O>>,
        number: u64,
        deadline: Instant,
        expiry: Expiry,
        reply: oneshot::Receiver<Reply<R, O>>,
    ) -> Self {
        Self { shared, number, deadline, expiry, reply, answered: false }
    }

    /// Waits for the answer, until the deadline at the latest.
    pub async fn answer(mut self) -> Result<Answer<R, O>, TicketError> {
        let reply = self.reply().await;
        self.answered = true;
        reply.map_err(TicketError::from)
    }

    async fn reply(&mut self) -> Reply<R, O> {
        if let Ok(reply) = timeout_at(self.expiry.at, &mut self.reply).await {
            // A reply that was dropped is a batch that was given up: it may have been sent.
            return reply.unwrap_or(Err(Undone::Unknown));
        }
        // Whoever takes the entry out of the queue decides: gone means sent, or answered.
        if self.shared.withdraw(self.number) {
            self.shared.metrics.expired.inc();
            return Err(if self.expiry.by_deadline {
                Undone::Deadline
            } else {
                Undone::QueueDelay
            });
        }
        match timeout_at(self.deadline, &mut self.reply).await {
            Ok(reply) => reply.unwrap_or(Err(Undone::Unknown)),
            Err(_) => Err(Undone::Unknown),
        }
    }
}

impl<R, O> Drop for Ticket<R, O> {
    fn drop(&mut self) {
        if !self.answered && self.shared.withdraw(self.number) {
            self.shared.metrics.departed.inc();
        }
    }
}
