//! Callers who may be about to come back. Who sends one request after another (a closed loop) sends the next
//! when the last is answered, so the callers of a batch come back together, soon after it.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Items of answered batches whose callers may be about to send as many again.
#[derive(Debug, Default)]
pub(super) struct Returning {
    batches: VecDeque<Answered>,
}

#[derive(Debug)]
struct Answered {
    items: usize,
    /// Whoever has not come by then is not coming.
    until: Instant,
}

impl Returning {
    /// A batch was answered. Its callers are expected back for so long.
    pub(super) fn answered(&mut self, now: Instant, items: usize, patience: Duration) {
        self.forget(now);
        self.batches.push_back(Answered { items, until: now + patience });
    }

    /// So many items were admitted, whoever sent them.
    pub(super) fn came(&mut self, now: Instant, mut items: usize) {
        self.forget(now);
        while items > 0
            && let Some(batch) = self.batches.front_mut()
        {
            let came = items.min(batch.items);
            (items, batch.items) = (items - came, batch.items - came);
            if batch.items == 0 {
                self.batches.pop_front();
            }
        }
    }

    /// Drops those that nobody comes back from any more.
    fn forget(&mut self, now: Instant) {
        self.batches.retain(|batch| now < batch.until);
    }

    /// How many are still expected.
    pub(super) fn items(&self, now: Instant) -> usize {
        self.batches.iter().filter(|batch| now < batch.until).map(|batch| batch.items).sum()
    }

    /// When fewer are expected than now, though nobody came.
    pub(super) fn changes(&self, now: Instant) -> Option<Instant> {
        self.batches.iter().map(|batch| batch.until).filter(|until| now < *until).min()
    }
}
