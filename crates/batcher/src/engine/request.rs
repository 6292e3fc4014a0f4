use std::time::Duration;
use tokio::time::Instant;

/// What a request takes of the queue's and a batch's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Items, at least 1: a request of several is never split over batches.
    pub items: usize,
    /// Bytes it holds while it waits.
    pub bytes: usize,
}

/// Who sends a request; equal for all requests of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(pub u64);

/// What a request asks of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// How large it is.
    pub size: Size,
    /// Whose it is.
    pub client: Client,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

/// Why a request was not admitted. It never ran and never will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// The queue is full.
    QueueFull,
    /// It would wait for too long.
    QueueDelay,
    /// It would not be answered before its deadline.
    Deadline,
    /// Others wait as well, and this client holds more than its share.
    ClientShare,
    /// The database is away.
    BreakerOpen,
    /// The batcher is closed and works off what it has admitted.
    Draining,
    /// More items or bytes than one batch may hold.
    TooLarge,
}

/// A refusal, and when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: SubmitError,
    /// Spread at random, so that those refused together do not come back together.
    pub retry_after: Duration,
}
