use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many retries all calls of a client together may make: a share of the calls, and a few each second
/// so that a client with few calls can retry at all.
///
/// When everything fails, a client without one multiplies its load by the number of its tries, just when the
/// server can least bear it; with one it adds a tenth.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    percent_of_calls: u32,
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// In thousandths of a retry, so that whole numbers suffice.
    tokens: u64,
    filled: Option<Instant>,
}

const RETRY: u64 = 1000;
/// What quiet times save up, at most.
const MOST: u64 = 100 * RETRY;
/// What a client begins with.
const FIRST_SECONDS: u64 = 10;

impl RetryBudget {
    pub(crate) fn new(percent_of_calls: u32, per_second: u32) -> Self {
        let tokens = (FIRST_SECONDS * u64::from(per_second) * RETRY).min(MOST);
        Self { percent_of_calls, per_second, state: Mutex::new(State { tokens, filled: None }) }
    }

    /// A call begins: its first attempt earns a part of a retry.
    pub(crate) fn deposit(&self) {
        let earned = u64::from(self.percent_of_calls) * RETRY / 100;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens = (state.tokens + earned).min(MOST);
    }

    /// Takes a retry, if there is one.
    pub(crate) fn withdraw(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = *state.filled.get_or_insert(now);
        let millis = now.saturating_duration_since(filled).as_millis() as u64;
        state.filled = Some(filled + Duration::from_millis(millis));
        state.tokens = (state.tokens + millis * u64::from(self.per_second)).min(MOST);
        let enough = state.tokens >= RETRY;
        if enough {
            state.tokens -= RETRY;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawn(budget: &RetryBudget, now: Instant) -> u32 {
        std::iter::repeat_with(|| budget.withdraw(now)).take_while(|&taken| taken).count() as u32
    }

    #[test]
    fn a_tenth_of_the_calls_may_be_retried() {
        let budget = RetryBudget::new(10, 0);
        let now = Instant::now();
        assert_eq!(withdrawn(&budget, now), 0);
        (0..250).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, now), 25);
    }

    #[test]
    fn a_client_with_few_calls_has_a_reserve() {
        let budget = RetryBudget::new(10, 2);
        let now = Instant::now();
        assert_eq!(withdrawn(&budget, now), 20, "of the first seconds");
        assert_eq!(withdrawn(&budget, now + Duration::from_millis(499)), 0);
        assert_eq!(withdrawn(&budget, now + Duration::from_millis(500)), 1);
        assert_eq!(withdrawn(&budget, now + Duration::from_secs(5)), 9);
    }

    #[test]
    fn what_quiet_times_save_up_is_bounded() {
        let budget = RetryBudget::new(10, 1);
        (0..1_000_000).for_each(|_| budget.deposit());
        let now = Instant::now();
        assert_eq!(withdrawn(&budget, now), 100);
        assert_eq!(withdrawn(&budget, now + Duration::from_secs(86_400)), 100);
    }
}
