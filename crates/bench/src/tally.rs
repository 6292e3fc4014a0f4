//! What the connections count.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::accounts::excerpt;
use crate::outcome::{Outcome, Outcomes};

/// What was counted. The first three fields cover the answers that came in the measured window,
/// the others the whole run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) outcomes: Outcomes,
    pub(crate) reads: Reads,
    pub(crate) unreadable: u64,
    pub(crate) timeouts: u64,
    pub(crate) broken: u64,
    pub(crate) reconnects: u64,
    /// Reads that did not find an account, or a transfer that was acknowledged.
    pub(crate) lost_reads: u64,
    /// The first of them.
    pub(crate) first_lost: Option<String>,
    /// The first answer that was not `applied`.
    pub(crate) first_other: Option<String>,
}

/// Reads answered in the measured window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// With what was asked for.
    pub answered: u64,
    /// With a refusal, such as because the server was busy.
    pub refused: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.outcomes.add(&other.outcomes);
        self.reads.answered += other.reads.answered;
        self.reads.refused += other.reads.refused;
        self.unreadable += other.unreadable;
        self.timeouts += other.timeouts;
        self.broken += other.broken;
        self.reconnects += other.reconnects;
        self.lost_reads += other.lost_reads;
        self.first_lost = self.first_lost.take().or(other.first_lost);
        self.first_other = self.first_other.take().or(other.first_other);
    }
}

/// An answer, or what it says of the first transfer that was not applied.
pub(crate) fn example(status: StatusCode, reply: &[u8], outcomes: &[Outcome]) -> String {
    let items: Vec<&RawValue> = serde_json::from_slice(reply).unwrap_or_default();
    let other = outcomes.iter().position(|outcome| *outcome != Outcome::Applied);
    let item = other.and_then(|position| items.get(position));
    format!("{status} {}", excerpt(item.map_or(reply, |item| item.get().as_bytes())))
}
