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

/// Batches sent again may be a tenth of the batches, and one a second besides: more would only add load
/// where there is too much already.
/// Source: B. Beyer et al., "Site Reliability Engineering" (2016), chapter 21.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: f64,
    refilled: Option<Instant>,
}

const TOKENS_PER_BATCH: f64 = 0.1;
const TOKENS_PER_SECOND: f64 = 1.0;
const TOKENS_MAX: f64 = 10.0;

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self { tokens: TOKENS_MAX, refilled: None }
    }

    /// A new batch was sent.
    pub(super) fn earn(&mut self) {
        self.tokens = (self.tokens + TOKENS_PER_BATCH).min(TOKENS_MAX);
    }

    /// Whether a batch may be sent again.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let since = self.refilled.replace(now).map_or(Duration::ZERO, |last| now - last);
        self.tokens = (self.tokens + since.as_secs_f64() * TOKENS_PER_SECOND).min(TOKENS_MAX);
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }

    /// Batches that may be sent again at this moment.
    pub(super) fn tokens(&self) -> f64 {
        self.tokens
    }
}
