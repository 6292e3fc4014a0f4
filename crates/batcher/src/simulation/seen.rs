use crate::SubmitError;

/// What a run can show. A set of runs that never shows one of these proves nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Applied,
    ZombieApplied,
    ZombieFenced,
    ExecutedTwice,
    UnknownThatWasApplied,
    UnknownThatWasNot,
    BreakerOpened,
    BreakerHalfOpen,
    BreakerClosedAgain,
    WatchdogFired,
    DividedForPoison,
    DividedForLock,
    PoisonFound,
    RowsLocked,
    DelayShed,
    ExpiredInQueue,
    LeftWhileQueued,
    LeftInFlight,
    BudgetExhausted,
    RolledBackThreeTimes,
    AnsweredOnlyAfterDoubt,
    DrainedWithWorkInFlight,
    DrainedWithWorkQueued,
    Abandoned,
    RefusedFull,
    RefusedDelay,
    RefusedDeadline,
    RefusedShare,
    RefusedOpen,
    RefusedDraining,
    RefusedLarge,
    Followed,
}

impl Sight {
    const ALL: [Self; 32] = [
        Self::Applied,
        Self::ZombieApplied,
        Self::ZombieFenced,
        Self::ExecutedTwice,
        Self::UnknownThatWasApplied,
        Self::UnknownThatWasNot,
        Self::BreakerOpened,
        Self::BreakerHalfOpen,
        Self::BreakerClosedAgain,
        Self::WatchdogFired,
        Self::DividedForPoison,
        Self::DividedForLock,
        Self::PoisonFound,
        Self::RowsLocked,
        Self::DelayShed,
        Self::ExpiredInQueue,
        Self::LeftWhileQueued,
        Self::LeftInFlight,
        Self::BudgetExhausted,
        Self::RolledBackThreeTimes,
        Self::AnsweredOnlyAfterDoubt,
        Self::DrainedWithWorkInFlight,
        Self::DrainedWithWorkQueued,
        Self::Abandoned,
        Self::RefusedFull,
        Self::RefusedDelay,
        Self::RefusedDeadline,
        Self::RefusedShare,
        Self::RefusedOpen,
        Self::RefusedDraining,
        Self::RefusedLarge,
        Self::Followed,
    ];

    pub(super) fn of(refused: SubmitError) -> Self {
        match refused {
            SubmitError::QueueFull => Self::RefusedFull,
            SubmitError::QueueDelay => Self::RefusedDelay,
            SubmitError::Deadline => Self::RefusedDeadline,
            SubmitError::ClientShare => Self::RefusedShare,
            SubmitError::BreakerOpen => Self::RefusedOpen,
            SubmitError::Draining => Self::RefusedDraining,
            SubmitError::TooLarge => Self::RefusedLarge,
        }
    }
}

/// How often each was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen([u64; Sight::ALL.len()]);

impl Seen {
    pub(super) fn note(&mut self, sight: Sight) {
        self.0[sight as usize] += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (Sight, u64)> {
        Sight::ALL.into_iter().zip(self.0)
    }
}
