/// Failed batches in a row that open it.
const FAILURES_MAX: u32 = 3;

/// The slow start begins with this part of a full batch.
const RAMP_PART: usize = 16;

/// Whether requests are let in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// As usual.
    Closed,
    /// A session has shown that it can commit; batches grow from small to full.
    HalfOpen,
    /// Nothing can be applied: everything is refused at once until a session commits an empty batch.
    Open,
}

/// Opens when the database fails again and again, or cannot be reached; closes by a slow start, so that
/// a backlog does not hit a database that has just come back.
#[derive(Debug)]
pub(super) struct Breaker {
    state: BreakerState,
    failures: u32,
    /// Items in a batch while half open.
    ramp: usize,
    full: usize,
}

impl Breaker {
    pub(super) fn new(full: usize) -> Self {
        Self { state: BreakerState::Closed, failures: 0, ramp: full, full }
    }

    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    /// Items that a batch may hold now.
    pub(super) fn batch_items(&self) -> usize {
        match self.state {
            BreakerState::HalfOpen => self.ramp,
            _ => self.full,
        }
    }

    /// A session has committed an empty batch.
    pub(super) fn probed(&mut self) {
        if self.state == BreakerState::Open {
            self.state = BreakerState::HalfOpen;
            self.ramp = (self.full / RAMP_PART).max(1);
        }
    }

    pub(super) fn batch_applied(&mut self) {
        self.failures = 0;
        if self.state == BreakerState::HalfOpen {
            self.ramp *= 2;
            if self.ramp >= self.full {
                self.state = BreakerState::Closed;
            }
        }
    }

    /// A batch failed for no fault of its own. Returns whether that opened the breaker.
    pub(super) fn batch_failed(&mut self) -> bool {
        self.failures += 1;
        let opens = self.state == BreakerState::HalfOpen || self.failures >= FAILURES_MAX;
        opens && self.open()
    }

    /// Returns whether it was not open.
    pub(super) fn open(&mut self) -> bool {
        self.failures = 0;
        std::mem::replace(&mut self.state, BreakerState::Open) != BreakerState::Open
    }
}
