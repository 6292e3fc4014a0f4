use std::time::Duration;
use tokio::time::Instant;

/// The bounds of one batcher. All are checked against each other once, at start.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items that may wait in the queue. More are refused. Choose what can be applied within the
    /// time a caller is willing to wait; a deeper queue only makes refusals later.
    pub queue_items: usize,
    /// Bytes that may wait in the queue, as told by each request's [`Size`](crate::Size).
    pub queue_bytes: usize,
    /// A request that would wait longer than this, by what has been measured, is refused at once.
    pub target_wait: Duration,
    /// How long a request may wait in the queue, at most; its own deadline may be sooner.
    pub queue_wait: Duration,
    /// Items in one batch, at most.
    pub batch_items: usize,
    /// Bytes in one batch, at most.
    pub batch_bytes: usize,
    /// How long a batch that is not full waits for company after its first request was admitted.
    /// Zero sends a lone request at once; under load batches grow by themselves while others are in
    /// flight.
    pub batch_wait: Duration,
    /// Batches in flight on one lane, at most. One follows another when it has as many items as that one and those
    /// that may be about to come back together, or when it is full.
    pub in_flight: usize,
    /// A session that works on one batch for this long is given up.
    pub watchdog: Duration,
}

/// Until when a request may stay in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) at: Instant,
    /// The caller's deadline comes first, not the queue's own bound.
    pub(crate) by_deadline: bool,
}

/// Limits that contradict each other, with both numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct LimitsError(pub String);

impl std::fmt::Display for LimitsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LimitsError {}

impl Limits {
    /// Refuses limits under which a batch could never form or never leave.
    pub fn check(&self) -> Result<(), LimitsError> {
        let refuse = |message: String| Err(LimitsError(message));
        if self.batch_items == 0 {
            return refuse("batch.max_items is 0: no batch could hold a request".into());
        }
        if self.in_flight == 0 {
            return refuse("batch.in_flight is 0: no batch could ever be sent".into());
        }
        if self.target_wait > self.queue_wait {
            return refuse(format!(
                "queue.target_wait ({:?}) is above queue.max_wait ({:?}): requests would be admitted \
                 only to be refused",
                self.target_wait, self.queue_wait
            ));
        }
        if self.queue_wait <= self.batch_wait {
            return refuse(format!(
                "queue.max_wait ({:?}) is not above batch.max_wait ({:?}): a request that waits for \
                 company would be refused",
                self.queue_wait, self.batch_wait
            ));
        }
        if self.queue_items < self.batch_items {
            return refuse(format!(
                "queue.max_items ({}) is below batch.max_items ({}): a full batch could never form",
                self.queue_items, self.batch_items
            ));
        }
        if self.queue_bytes < self.batch_bytes {
            return refuse(format!(
                "queue.max_bytes ({}) is below batch.max_bytes ({}): a full batch could never form",
                self.queue_bytes, self.batch_bytes
            ));
        }
        Ok(())
    }

    /// When a request admitted now leaves the queue at the latest.
    pub(crate) fn expiry(&self, admitted: Instant, deadline: Instant) -> Expiry {
        let bound = admitted + self.queue_wait;
        Expiry { at: deadline.min(bound), by_deadline: deadline <= bound }
    }
}
