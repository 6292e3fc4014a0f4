//! `summary.json`: what a run has come to, in one small file.

use super::looks::Looked;
use super::plan::RunPlan;
use super::run::Storm;
use super::timeline::{Outcome, Timeline};
use super::workload::Resolved;
use giro_checker::{Gate, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(super) const FILE: &str = "summary.json";

/// A load that waits for answers sends less when it matters. So many of a hundred requests have to be sent
/// in time.
const SENT_PERCENT: f64 = 90.0;
const SENT: &str = "requests sent in time, in percent";
/// What is never looked at may be anything meanwhile. So many of a hundred looks have to be answered; a
/// database that is down or halted answers none.
const LOOKED_PERCENT: f64 = 50.0;
const LOOKED: &str = "looks at the sums that were answered, in percent";

/// What a run has come to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Every predicate and every gate holds, and everything came back.
    pub passes: bool,
    /// What went wrong before the checker, or with it.
    pub failure: Option<String>,
    /// Of the run.
    pub seed: u64,
    /// All of it, from the start of the cluster to the verdict.
    pub seconds: f64,
    /// Faults, each from its begin to its end.
    pub faults: u64,
    /// The same, by name.
    pub kinds: BTreeMap<String, u64>,
    /// Faults that could not happen on this machine, and why.
    pub left_out: BTreeMap<String, String>,
    /// Crashes and cuts that hit a batch.
    pub cycles: u64,
    /// Backends that were halted in a batch until their sessions had been given up.
    pub zombies: u64,
    /// Requests sent by the load.
    pub requests: u64,
    /// Those of them for ids that had been sent before.
    pub repeats: u64,
    /// Those of them whose callers left.
    pub left: u64,
    /// Requests that were due, and could not be sent within a second.
    pub late: u64,
    /// Transfers told to be applied, for the first time.
    pub acknowledged: u64,
    /// Transfers told that they had been decided before.
    pub replayed: u64,
    /// Items told to be refused by a rule.
    pub rejected: u64,
    /// Items told not to have run.
    pub not_applied: u64,
    /// Items of which it was not known what became of them.
    pub unknown: u64,
    /// What became of the ids that nobody knew, and of which nobody learnt later.
    pub resolved: Resolved,
    /// Looks at the sums while the storm lasted.
    pub looked: Looked,
    /// Decisions a second without a fault.
    pub goodput: f64,
    /// Requests told to be unknown although nothing was wrong yet.
    pub unknown_in_calm: u64,
    /// Until half of it was back after the last fault.
    pub back_seconds: f64,
    /// Of all predicates.
    pub violations: u64,
    /// Things that were looked at, of all predicates.
    pub looked_at: u64,
    /// Gates that were not reached.
    pub gates_missed: Vec<String>,
    /// Gates, and what was seen.
    pub gates: Vec<Gate>,
}

/// Writes a small file whose presence says something: it is there with all of its text, or not at all.
pub(super) fn write(path: &Path, summary: &Summary) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = serde_json::to_string_pretty(summary).map_err(|error| failed(&error))?;
    let new = path.with_extension("new");
    fs::write(&new, text + "\n").map_err(|error| failed(&error))?;
    fs::rename(&new, path).map_err(|error| failed(&error))
}

impl Summary {
    pub(super) fn new(
        plan: &RunPlan,
        storm: Option<&Storm>,
        timeline: &Timeline,
        verdict: Option<&Verdict>,
        failure: Option<String>,
        seconds: f64,
    ) -> Self {
        let mut summary = Self {
            seed: plan.seed,
            seconds,
            left_out: plan.left_out.clone(),
            acknowledged: timeline.acknowledged,
            replayed: timeline.replayed,
            rejected: timeline.total(Outcome::Rejected),
            not_applied: timeline.total(Outcome::NotApplied),
            unknown: timeline.total(Outcome::Unknown),
            failure,
            ..Self::default()
        };
        if let Some(storm) = storm {
            summary.add_storm(storm);
        }
        if let Some(verdict) = verdict {
            summary.add_verdict(verdict);
        }
        summary
    }

    fn add_storm(&mut self, storm: &Storm) {
        let Storm { weather, sent, resolved, looked, .. } = storm;
        (self.faults, self.cycles, self.zombies) =
            (weather.faults, weather.cycles, weather.zombies);
        self.kinds = weather.kinds.clone();
        (self.requests, self.repeats) = (sent.requests, sent.repeats);
        (self.left, self.late) = (sent.left, sent.late);
        (self.resolved, self.looked) = (*resolved, *looked);
        (self.goodput, self.back_seconds) = (storm.goodput, storm.back_seconds);
        self.unknown_in_calm = storm.unknown_in_calm;
    }

    pub(super) fn add_verdict(&mut self, verdict: &Verdict) {
        self.violations = verdict.predicates.iter().map(|predicate| predicate.violations).sum();
        self.looked_at = verdict.predicates.iter().map(|predicate| predicate.looked_at).sum();
        let percent = |good: u64, bad: u64| 100.0 * good as f64 / (good + bad).max(1) as f64;
        let Looked { looks, in_vain, .. } = self.looked;
        let own = [
            (SENT, SENT_PERCENT, percent(self.requests, self.late)),
            (LOOKED, LOOKED_PERCENT, percent(looks, in_vain)),
        ];
        let own = own.map(|(name, needed, seen)| Gate { name: name.into(), needed, seen });
        self.gates = verdict.gates.iter().cloned().chain(own).collect();
        let missed = self.gates.iter().filter(|gate| !gate.passes());
        self.gates_missed = missed.map(|gate| gate.name.clone()).collect();
        let holds = self.looked.unbalanced == 0 && verdict.holds();
        self.passes = self.failure.is_none() && holds && self.gates_missed.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_seen_sums_apart_does_not_pass() {
        let verdict = Verdict { predicates: Vec::new(), gates: Vec::new() };
        let looked = Looked { looks: 1, ..Looked::default() };
        let mut summary = Summary { requests: 90, late: 10, looked, ..Summary::default() };
        summary.add_verdict(&verdict);
        assert!(summary.passes);
        summary.looked.unbalanced = 1;
        summary.add_verdict(&verdict);
        assert!(!summary.passes);
    }

    #[test]
    fn a_run_that_could_not_send_what_was_due_proves_nothing() {
        let verdict = Verdict { predicates: Vec::new(), gates: Vec::new() };
        let looked = Looked { looks: 4, in_vain: 5, ..Looked::default() };
        let mut summary = Summary { requests: 89, late: 11, looked, ..Summary::default() };
        summary.add_verdict(&verdict);
        assert!(!summary.passes && summary.gates_missed == [SENT, LOOKED]);
    }
}
