use std::time::Duration;

/// Growing waits with full jitter: each lies anywhere between zero and a bound that doubles.
/// Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
pub(crate) struct Backoff {
    bound: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { bound: first, max }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.bound.mul_f64(fastrand::f64());
        self.bound = (self.bound * 2).min(self.max);
        wait
    }
}
