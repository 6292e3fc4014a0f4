use super::context::Context;
use crate::Failure;
use std::time::Duration;

/// How the database, and the way to it, are for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// A little of everything.
    Flaky,
    Slow,
    /// Batches take longer than the watchdog waits; new sessions do not come up.
    Hanging,
    /// No session opens, those that were open end.
    Down,
    /// Sessions open, and end at the first batches.
    Flapping,
    Contended,
    Exhausted,
    ReadOnly,
    Broken,
    /// Somebody holds locks on two of the rows.
    Locked,
}

/// What will become of one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) work: Duration,
    pub(super) end: End,
    /// It is executed once more so much later.
    pub(super) again: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Answer,
    RollBack(Failure),
    /// The session ends before the batch is executed.
    CutBefore,
    /// The session ends, the database does not notice and goes on.
    CutDuring,
    /// The session ends after the batch was applied and before the answer.
    CutAfter,
    /// The answer cannot be read; the session seems well.
    Garbled,
}

/// What will become of an attempt to open a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) takes: Duration,
    pub(super) opens: bool,
}

/// The longest that an attempt to open a session takes, in milliseconds.
pub(super) const CONNECT_MILLIS: f64 = 2000.0;

impl Weather {
    pub(super) const BAD: [Self; 10] = [
        Self::Flaky,
        Self::Slow,
        Self::Hanging,
        Self::Down,
        Self::Flapping,
        Self::Contended,
        Self::Exhausted,
        Self::ReadOnly,
        Self::Broken,
        Self::Locked,
    ];

    pub(super) fn fate(self, context: &mut Context, usual: Duration) -> Fate {
        let work = usual.mul_f64(0.5 + context.random.f64());
        let hang = context.millis(100.0, 3000.0);
        let end = self.end(context);
        let work = match self {
            Self::Hanging => hang,
            Self::Flaky if context.chance(0.05) => hang,
            Self::Slow => work * 20,
            _ => work,
        };
        let lost = matches!(end, End::CutBefore | End::CutDuring | End::CutAfter);
        let again = (lost && context.chance(0.3)).then(|| context.millis(0.0, 4000.0));
        Fate { work, end, again }
    }

    fn end(self, context: &mut Context) -> End {
        let (likely, end) = match self {
            Self::Fair | Self::Slow | Self::Locked => return End::Answer,
            Self::Hanging => (0.2, End::CutDuring),
            Self::Flaky => {
                let ends = [
                    End::CutBefore,
                    End::CutDuring,
                    End::CutAfter,
                    End::Garbled,
                    End::RollBack(Failure::Contended),
                    End::RollBack(Failure::Overtaken),
                    End::RollBack(Failure::Exhausted),
                    End::RollBack(Failure::WrongSession),
                    End::RollBack(Failure::Locked),
                    End::RollBack(Failure::Broken),
                ];
                (0.25, ends[context.random.usize(..ends.len())])
            }
            Self::Down | Self::Flapping => {
                let ends = [End::CutBefore, End::CutDuring, End::CutAfter];
                (0.8, ends[context.random.usize(..ends.len())])
            }
            Self::Contended => {
                let ends = [Failure::Contended, Failure::Overtaken];
                (0.6, End::RollBack(ends[context.random.usize(..ends.len())]))
            }
            Self::Exhausted => (0.7, End::RollBack(Failure::Exhausted)),
            Self::ReadOnly => (0.9, End::RollBack(Failure::WrongSession)),
            Self::Broken => (1.0, End::RollBack(Failure::Broken)),
        };
        if context.chance(likely) { end } else { End::Answer }
    }

    pub(super) fn attempt(self, context: &mut Context) -> Attempt {
        let opens = match self {
            Self::Down | Self::Hanging => false,
            Self::Flaky | Self::ReadOnly => context.chance(0.7),
            _ => true,
        };
        let hangs = match self {
            Self::Hanging => true,
            Self::Down => context.chance(0.2),
            Self::Flaky => context.chance(0.1),
            _ => false,
        };
        let takes = match hangs {
            true => context.millis(200.0, CONNECT_MILLIS),
            false => context.millis(1.0, 20.0),
        };
        Attempt { takes, opens }
    }
}
