//! The retry rules. `docs/clients.md` is the same page for every language.
//!
//! 1. A call has one id (or one list of ids), one body and one deadline. No attempt changes them.
//! 2. Every attempt tells the server how long its answer will be waited for. Where there is no time
//!    left, nothing is sent.
//! 3. An attempt that did not reach the ledger may be made again, at most [`RetryPolicy::max_tries`] in all.
//! 4. An attempt whose result is unknown is resolved by sending the same again, until the deadline. From then
//!    on only a verdict settles the call: that a *later* attempt was not applied says nothing of
//!    the earlier one.
//! 5. Between attempts: what the server asked for, plus a random time below a bound that doubles.
//! 6. All calls of a client share a budget of retries. Without budget there is no retry.
//!
//! No clock and no chance of its own: both come in.

use crate::budget::RetryBudget;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How a client retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, while it is certain that none reached the ledger; 1 never retries these.
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
    /// It did not reach the ledger, and the same request never will.
    Final,
    /// It did not reach the ledger, and another time it may.
    NotApplied,
    /// It may have reached the ledger.
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

    /// Whether an attempt may have reached the ledger.
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);
    const ATTEMPT: Duration = Duration::from_secs(1);

    /// Calls `check` with the attempts of a call whose budget is ample.
    fn attempts(policy: RetryPolicy, check: impl FnOnce(&mut Attempts<'_>, Instant)) {
        let budget = RetryBudget::new(0, 100);
        let now = Instant::now();
        check(&mut Attempts::new(&policy, &budget, ATTEMPT, now + DEADLINE), now);
    }

    fn next(
        attempts: &mut Attempts<'_>,
        fate: Fate,
        asked: Option<u64>,
        now: Instant,
    ) -> Result<Duration, Stopped> {
        attempts.begin(now);
        let mut random = fastrand::Rng::with_seed(7);
        attempts.pause(fate, asked.map(Duration::from_millis), now, &mut random)
    }

    #[test]
    fn what_never_ran_is_tried_three_times() {
        attempts(RetryPolicy::default(), |attempts, now| {
            assert!(next(attempts, Fate::NotApplied, None, now).is_ok());
            assert!(next(attempts, Fate::NotApplied, None, now).is_ok());
            assert_eq!(next(attempts, Fate::NotApplied, None, now), Err(Stopped::Tries));
            assert!(!attempts.unknown());
        });
    }

    #[test]
    fn what_is_unknown_is_resolved_until_the_deadline() {
        attempts(RetryPolicy::default(), |attempts, now| {
            for _ in 0..10 {
                assert!(next(attempts, Fate::Unknown, None, now).is_ok());
            }
            let late = now + DEADLINE - Duration::from_millis(1);
            assert_eq!(next(attempts, Fate::Unknown, None, late), Err(Stopped::Deadline));
            assert!(attempts.unknown());
        });
    }

    #[test]
    fn unknown_stays_unknown_whatever_happens_to_later_attempts() {
        for last in [Fate::NotApplied, Fate::Final] {
            attempts(RetryPolicy::default(), |attempts, now| {
                next(attempts, Fate::Unknown, None, now).unwrap();
                for _ in 0..5 {
                    next(attempts, Fate::NotApplied, None, now).expect("tries do not count");
                }
                let _ = next(attempts, last, None, now);
                assert!(attempts.unknown());
            });
        }
    }

    #[test]
    fn a_final_answer_is_not_sent_again() {
        attempts(RetryPolicy::default(), |attempts, now| {
            assert_eq!(next(attempts, Fate::Final, None, now), Err(Stopped::Final));
        });
    }

    #[test]
    fn pauses_are_random_below_a_bound_that_doubles() {
        let policy = RetryPolicy { max_tries: 9, ..RetryPolicy::default() };
        let mut random = fastrand::Rng::with_seed(1);
        attempts(policy, |attempts, now| {
            for bound in [50, 100, 200, 400, 800, 1000, 1000] {
                attempts.begin(now);
                let bound = Duration::from_millis(bound);
                let drawn: Vec<_> = (0..1000).map(|_| attempts.jitter(&mut random)).collect();
                assert!(drawn.iter().all(|&pause| pause <= bound));
                assert!(drawn.iter().any(|&pause| pause < bound / 10), "down to nothing");
                assert!(drawn.iter().any(|&pause| pause > bound * 9 / 10), "up to {bound:?}");
            }
        });
    }

    #[test]
    fn what_the_server_asked_for_is_a_floor_while_it_fits() {
        attempts(RetryPolicy::default(), |attempts, now| {
            let pause = next(attempts, Fate::NotApplied, Some(700), now).unwrap();
            assert!((700..=750).contains(&pause.as_millis()), "{pause:?}");
            let pause = next(attempts, Fate::NotApplied, Some(2000), now);
            assert_eq!(pause, Err(Stopped::Deadline));
        });
    }

    #[test]
    fn without_budget_there_is_no_retry() {
        let (policy, budget) = (RetryPolicy::default(), RetryBudget::new(10, 0));
        let now = Instant::now();
        for _ in 0..10 {
            let mut attempts = Attempts::new(&policy, &budget, ATTEMPT, now + DEADLINE);
            let retry = next(&mut attempts, Fate::Unknown, None, now);
            assert!(retry.is_ok() || retry == Err(Stopped::Budget));
        }
        let mut attempts = Attempts::new(&policy, &budget, ATTEMPT, now + DEADLINE);
        assert_eq!(next(&mut attempts, Fate::Unknown, None, now), Err(Stopped::Budget));
        assert!(attempts.unknown());
    }

    #[test]
    fn an_attempt_ends_with_its_own_time_or_the_calls() {
        attempts(RetryPolicy::default(), |attempts, now| {
            assert_eq!(attempts.begin(now), now + ATTEMPT);
            let later = now + Duration::from_millis(1500);
            assert_eq!(attempts.begin(later), now + DEADLINE);
        });
    }

    #[test]
    fn the_server_is_told_a_little_less_than_there_is() {
        let announced = |ms| announced(Duration::from_millis(ms));
        assert_eq!(announced(1000), Some(950));
        assert_eq!(announced(100), Some(90));
        assert_eq!(announced(60_000), Some(30_000));
        assert_eq!(announced(2), Some(1));
        assert_eq!(announced(1), None);
        assert_eq!(announced(0), None);
    }
}
