use std::future::Future;
use tokio::time::Instant;

/// Requests that leave together, in the order of their admission.
#[derive(Debug)]
pub struct Batch<R> {
    /// At least one.
    pub requests: Vec<R>,
    /// The latest deadline of its callers: nobody waits for an outcome any longer.
    pub deadline: Instant,
}

/// Why a batch has no outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchError {
    /// Never sent.
    NotSent,
    /// Sent and rolled back: provably nothing of it was applied.
    RolledBack,
    /// It was sent and its result was not learnt: it may have been applied or may still be.
    Unknown,
}

/// What applies batches, one after another in the order they are handed over.
pub trait Lane<R, O>: Send + Sync + 'static {
    /// Resolves when a batch can be sent at once. While it does not, requests stay in the queue,
    /// where they can still expire, leave or be refused without having been sent.
    fn ready(&self) -> impl Future<Output = ()> + Send;

    /// Applies a batch: one outcome per request, by position. Must end in bounded time
    /// after the batch's deadline.
    fn apply(&self, batch: Batch<R>) -> impl Future<Output = Result<Vec<O>, BatchError>> + Send;
}
