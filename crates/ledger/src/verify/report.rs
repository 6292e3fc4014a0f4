//! What an audit found.

use super::check::Check;
use crate::Id;
use serde::Serialize;

/// The result of an audit. `Display` is the text for people; it serialises as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Nothing was found.
    pub clean: bool,
    /// When the snapshot was taken that all checks looked at.
    pub snapshot_at: String,
    /// `server_version` of PostgreSQL.
    pub postgres: String,
    /// Version of the tables.
    pub schema_version: i32,
    /// How long the audit took.
    pub seconds: f64,
    /// How long each pass over the data took.
    pub passes: Vec<PassReport>,
    /// Every check, whether it found something or not.
    pub checks: Vec<CheckReport>,
}

/// One pass over the data: several checks share it.
#[derive(Debug, Clone, Serialize)]
pub struct PassReport {
    /// What it went through.
    pub name: &'static str,
    /// Rows that were read.
    pub rows: u64,
    /// How long it took.
    pub seconds: f64,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// The check.
    pub name: Check,
    /// What holds when it finds nothing.
    pub meaning: &'static str,
    /// What was looked at.
    pub of: &'static str,
    /// How many of them.
    pub looked_at: u64,
    /// How much is wrong.
    pub findings: u64,
    /// The first findings.
    pub shown: Vec<Finding>,
}

/// Something that cannot be in a sound ledger, and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<i32>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Id>,
    /// The transfer, refused or applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Id>,
    /// The hold that it resolves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Id>,
    /// Its place in the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// What is wrong.
    pub what: String,
    /// What should be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    pub(super) fn ledger(mut self, ledger: i32) -> Self {
        self.ledger = Some(ledger);
        self
    }

    pub(super) fn account(mut self, account: Id) -> Self {
        self.account = Some(account);
        self
    }

    pub(super) fn transfer(mut self, transfer: Id) -> Self {
        self.transfer = Some(transfer);
        self
    }

    pub(super) fn hold(mut self, hold: Id) -> Self {
        self.hold = Some(hold);
        self
    }

    pub(super) fn seq(mut self, seq: i64) -> Self {
        self.seq = Some(seq);
        self
    }

    pub(super) fn batch(mut self, batch: i64) -> Self {
        self.batch = Some(batch);
        self
    }

    pub(super) fn expected(mut self, expected: impl ToString) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    pub(super) fn found(mut self, found: impl ToString) -> Self {
        self.found = Some(found.to_string());
        self
    }
}

/// Findings as they come up: all are counted, the first of each check are kept.
pub(super) struct Findings {
    keep: usize,
    tallies: Vec<Tally>,
}

#[derive(Clone, Default)]
struct Tally {
    looked_at: u64,
    findings: u64,
    shown: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, tallies: vec![Tally::default(); Check::ALL.len()] }
    }

    /// Something is wrong.
    pub(super) fn add(&mut self, check: Check, finding: impl FnOnce() -> Finding) {
        let tally = &mut self.tallies[check as usize];
        tally.findings += 1;
        if tally.shown.len() < self.keep {
            tally.shown.push(finding());
        }
    }

    /// So many more were looked at.
    pub(super) fn looked_at(&mut self, check: Check, count: u64) {
        self.tallies[check as usize].looked_at += count;
    }

    pub(super) fn into_reports(self) -> Vec<CheckReport> {
        let report = |(&name, tally): (&Check, Tally)| {
            let (meaning, of) = (name.meaning(), name.of());
            let Tally { looked_at, findings, shown } = tally;
            CheckReport { name, meaning, of, looked_at, findings, shown }
        };
        Check::ALL.iter().zip(self.tallies).map(report).collect()
    }
}
