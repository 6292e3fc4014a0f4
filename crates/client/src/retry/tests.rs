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
