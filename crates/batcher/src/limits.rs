use std::time::Duration;

/// The bounds of one batcher. All are checked against each other once, at start.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items that may wait in the queue. More are refused. Choose what can be applied within the
    /// time a caller is willing to wait; a deeper queue only makes refusals later.
    pub queue_items: usize,
    /// Bytes that may wait in the queue, as told by each request's [`Size`](crate::Size).
    pub queue_bytes: usize,
    /// How long a request may wait in the queue, at most; its own deadline may be sooner.
    pub queue_wait: Duration,
    /// Items in one batch, at most.
    pub batch_items: usize,
    /// Bytes in one batch, at most.
    pub batch_bytes: usize,
    /// How long a batch that is not full waits for company after its first request was admitted.
    /// Zero sends a lone request at once; under load batches grow by themselves while all slots
    /// are busy.
    pub batch_wait: Duration,
    /// Batches in flight on one lane, at most.
    pub in_flight: usize,
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
}
