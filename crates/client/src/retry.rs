//! The retry rules. `docs/clients.md` is the same page for every language.
//!
//! 1. A call has one id (or one list of ids), one body and one deadline. No attempt changes them.
//! 2. Every attempt tells the server how long its answer will be waited for. Where there is no time
//!    left, nothing is sent.
//! 3. An attempt that changed nothing may be made again, at most [`RetryPolicy::max_tries`] in all.
//! 4. An attempt whose result is unknown is resolved by sending the same again, until the deadline. From then
//!    on only a verdict settles the call: that a *later* attempt was not applied says nothing of
//!    the earlier one. Nor does `refused_by_database`, which is not recorded.
//! 5. Between attempts: what the server asked for, plus a random time below a bound that doubles.
//! 6. All calls of a client share a budget of retries. Without budget there is no retry.
//!
//! No clock and no chance of its own: both come in.

#[cfg(test)]
mod tests;

use crate::budget::RetryBudget;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How a client retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, while it is certain that none changed anything; 1 never retries these.
    pub max_tries: u32,
    /// Bound of the first random pause; it doubles with each attempt.
    pub base: Duration,
    /// Bound of every random pause.
    pub cap: Duration,
    /// Retries that all calls together may make, in percent of the calls.
    pub budget_percent: u32,
    /// Retries a second that they may make beyond that.
    pub budget_per_second: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 3,
            base: Duration::from_millis(50),
            cap: Duration::from_secs(1),
            budget_percent: 10,
            budget_per_second: 1,
        }
    }
}

impl RetryPolicy {
    pub(crate) fn budget(&self) -> RetryBudget {
        RetryBudget::new(self.budget_percent, self.budget_per_second)
    }
}

/// What an attempt proves that did not bring a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It changed nothing, and the same request never will.
    Final,
    /// It changed nothing, and another time it may.
    NotApplied,
    /// It may have been applied, or may be yet.
    Unknown,
}

/// Why a call was not tried once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// The last answer was one that sending the same again does not change.
    Final,
    /// As many tries as the policy allows were made.
    Tries,
    /// The next attempt would not have made the deadline.
    Deadline,
    /// The retry budget of the client is used up.
    Budget,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Final => "the last answer was final",
            Self::Tries => "out of tries",
            Self::Deadline => "out of time",
            Self::Budget => "out of retries for now",
        })
    }
}

/// The attempts of one call.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    budget: &'a RetryBudget,
    attempt_timeout: Duration,
    deadline: Instant,
    made: u32,
    unknown: bool,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(
        policy: &'a RetryPolicy,
        budget: &'a RetryBudget,
        attempt_timeout: Duration,
        deadline: Instant,
    ) -> Self {
        budget.deposit();
        Self { policy, budget, attempt_timeout, deadline, made: 0, unknown: false }
    }

    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// Whether the result of an attempt was not learnt.
    pub(crate) fn unknown(&self) -> bool {
        self.unknown
    }

    /// Begins an attempt; it is to end by this moment.
    pub(crate) fn begin(&mut self, now: Instant) -> Instant {
        self.made += 1;
        self.deadline.min(now + self.attempt_timeout)
    }

    /// After an attempt without a verdict: how long to wait before the next, or why there is none.
    pub(crate) fn pause(
        &mut self,
        fate: Fate,
        asked: Option<Duration>,
        now: Instant,
        random: &mut fastrand::Rng,
    ) -> Result<Duration, Stopped> {
        self.unknown |= fate == Fate::Unknown;
        if fate == Fate::Final {
            return Err(Stopped::Final);
        }
        if !self.unknown && self.made >= self.policy.max_tries {
            return Err(Stopped::Tries);
        }
        let pause = asked.unwrap_or_default().saturating_add(self.jitter(random));
        let left = self.deadline.saturating_duration_since(now).saturating_sub(pause);
        if announced(left).is_none() {
            return Err(Stopped::Deadline);
        }
        if !self.budget.withdraw(now) {
            return Err(Stopped::Budget);
        }
        Ok(pause)
    }

    /// Full jitter: from nothing to the bound, so that callers who failed together do not return together.
    fn jitter(&self, random: &mut fastrand::Rng) -> Duration {
        let doubled = 2_u32.saturating_pow(self.made.saturating_sub(1));
        let bound = self.policy.base.saturating_mul(doubled).min(self.policy.cap);
        Duration::from_micros(random.u64(0..=bound.as_micros() as u64))
    }
}

/// The server's bound of `Request-Timeout-Ms`.
const MOST_ANNOUNCED_MS: u128 = 30_000;
const WAY_BACK: Duration = Duration::from_millis(50);

/// The `Request-Timeout-Ms` of an attempt that has this long: a little less, so that the server's own word about
/// a deadline, which can be definite, arrives before the client gives up, which never is. Nothing when
/// nothing is to be sent.
pub(crate) fn announced(left: Duration) -> Option<u64> {
    let millis = (left - WAY_BACK.min(left / 10)).as_millis();
    (millis > 0).then_some(millis.min(MOST_ANNOUNCED_MS) as u64)
}
