use std::time::Duration;
use tokio::time::Instant;

/// Growing waits with full jitter: each lies anywhere between zero and a bound that doubles.
/// Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    bound: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, max: Duration) -> Self {
        Self { first, bound: first, max }
    }

    pub(super) fn next(&mut self, random: &mut fastrand::Rng) -> Duration {
        let wait = self.bound.mul_f64(random.f64());
        self.bound = (self.bound * 2).min(self.max);
        wait
    }

    pub(super) fn reset(&mut self) {
        self.bound = self.first;
    }
}

/// Bounds what is sent besides fresh batches: it would only add load where there is too much already.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: f64,
    per_batch: f64,
    per_second: f64,
    max: f64,
    refilled: Option<Instant>,
}

impl RetryBudget {
    /// Batches sent again as they are: a tenth of the batches, and one a second besides.
    /// Source: B. Beyer et al., "Site Reliability Engineering" (2016), chapter 21.
    pub(super) fn for_repeats() -> Self {
        Self::new(0.1, 1.0, 10.0)
    }

    /// Batches cut in two: as many as there are batches, and enough to find some culprits at once.
    pub(super) fn for_divisions() -> Self {
        Self::new(1.0, 10.0, 100.0)
    }

    fn new(per_batch: f64, per_second: f64, max: f64) -> Self {
        Self { tokens: max, per_batch, per_second, max, refilled: None }
    }

    /// A new batch was sent.
    pub(super) fn earn(&mut self) {
        self.tokens = (self.tokens + self.per_batch).min(self.max);
    }

    /// Whether one more may be sent.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        self.refill(now);
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    /// What may be sent at this moment.
    pub(super) fn tokens(&mut self, now: Instant) -> f64 {
        self.refill(now);
        self.tokens
    }

    fn refill(&mut self, now: Instant) {
        let since = self.refilled.replace(now).map_or(Duration::ZERO, |last| now - last);
        self.tokens = (self.tokens + since.as_secs_f64() * self.per_second).min(self.max);
    }
}
