//! What happened when, in bins of a tenth of a second: for the report, and for the figures of a run.

use giro_checker::history::{Answer, Asked, Attempt, Told};
use std::collections::BTreeMap;

/// Nanoseconds of a bin.
pub(super) const BIN: u64 = 100_000_000;

/// What an item was told, as far as the picture tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// 200
    Applied,
    /// 422
    Rejected,
    /// 400, 429, 503, or no server.
    NotApplied,
    /// 504, or no answer.
    Unknown,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] =
        [Self::Applied, Self::Rejected, Self::NotApplied, Self::Unknown];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::NotApplied => "not applied",
            Self::Unknown => "unknown",
        }
    }
}

/// A tenth of a second.
#[derive(Debug, Clone, Default)]
pub(super) struct Bin {
    /// Items by [`Outcome`], by when they were answered.
    pub(super) items: [u32; Outcome::ALL.len()],
    /// Microseconds from request to answer, of requests that were decided.
    pub(super) latencies: Vec<u32>,
}

/// All of a run.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) bins: Vec<Bin>,
    /// Attempts.
    pub(super) attempts: u64,
    /// How often each answer was given, by item.
    pub(super) answers: BTreeMap<String, u64>,
    /// Items told to be applied now, not before.
    pub(super) acknowledged: u64,
    /// Items told that they had been decided before.
    pub(super) replayed: u64,
}

impl Timeline {
    /// Adds an attempt.
    pub(super) fn note(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        let Asked::Transfers(items) = &attempt.asked else {
            let read = match &attempt.answer {
                Answer::NotRead(why) => format!("not read: {why}"),
                _ => "read".to_owned(),
            };
            *self.answers.entry(read).or_default() += 1;
            return;
        };
        let bin = (attempt.ret / BIN) as usize;
        if self.bins.len() <= bin {
            self.bins.resize_with(bin + 1, Bin::default);
        }
        let bin = &mut self.bins[bin];
        let mut count = |name: String, outcome: Outcome, items: usize| {
            *self.answers.entry(name).or_default() += items as u64;
            bin.items[outcome as usize] += items as u32;
        };
        match &attempt.answer {
            Answer::Told(told) => {
                let mut is_decided = false;
                for told in told {
                    let (name, outcome) = match told {
                        Told::Applied(applied) if applied.replayed => {
                            self.replayed += 1;
                            ("applied, replayed".to_owned(), Outcome::Applied)
                        }
                        Told::Applied(_) => {
                            self.acknowledged += 1;
                            ("applied".to_owned(), Outcome::Applied)
                        }
                        Told::Rejected { reason, replayed } => {
                            self.replayed += u64::from(*replayed);
                            (format!("rejected: {reason}"), Outcome::Rejected)
                        }
                        Told::NotApplied(reason) => {
                            (format!("not applied: {reason}"), Outcome::NotApplied)
                        }
                        Told::Unknown => ("unknown".to_owned(), Outcome::Unknown),
                    };
                    is_decided |= matches!(outcome, Outcome::Applied | Outcome::Rejected);
                    count(name, outcome, 1);
                }
                if is_decided {
                    let micros = attempt.ret.saturating_sub(attempt.inv) / 1000;
                    bin.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
                }
            }
            Answer::NotSent => count("not sent".into(), Outcome::NotApplied, items.len()),
            _ => count("no answer".into(), Outcome::Unknown, items.len()),
        }
    }

    /// Items told this, in all.
    pub(super) fn total(&self, outcome: Outcome) -> u64 {
        self.bins.iter().map(|bin| u64::from(bin.items[outcome as usize])).sum()
    }
}
