//! What a run has seen, beside what it must have seen.

use crate::asked::{Ask, History, Said};
use crate::history::FaultSpan;
use crate::stored::Decision;
use crate::timeline::{Timeline, is_replayed};
use crate::verdict::{Gate, Predicate};
use crate::{CheckError, Gates};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// Of the crashes and cuts: one of them may come just when nobody asks for anything.
const MET: f64 = 0.9;

/// What the checker takes from the file `run.json` of a run.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) gates: Gates,
    /// The run has items for which PostgreSQL raises an error.
    pub(crate) refused_by_database: bool,
    /// When the clock of the history was zero, in microseconds since 1970.
    pub(crate) began: Option<i64>,
}

impl Settings {
    /// Those of a run, or the usual ones.
    pub(crate) fn of(directory: &Path) -> Result<Self, CheckError> {
        let path = directory.join("run.json");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read(&path);
        let text = text.map_err(|error| CheckError::Read { path: path.clone(), error })?;
        let settings = serde_json::from_slice(&text);
        settings.map_err(|error| CheckError::Line { path, line: error.line() as u64, error })
    }
}

pub(crate) fn gates(needed: &Gates, timeline: &Timeline<'_>, faults: &[FaultSpan]) -> Vec<Gate> {
    let doubts = Doubts::of(timeline);
    let repeats = Repeats::of(timeline.history);
    let decisions = &timeline.stored.decisions;
    let refused = decisions.iter().filter(|decision| decision.reason.is_some()).count();
    let cycles = faults.iter().filter(|fault| fault.crash_or_cut).count();
    let evident = faults.iter().filter(|fault| !fault.evidence.trim().is_empty()).count();
    let met = |fault: &&FaultSpan| fault.crash_or_cut && fault.in_flight >= needed.in_flight;
    let met_callers = faults.iter().filter(met).count();
    let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    let gate = |name: &str, needed: f64, seen: f64| Gate { name: name.into(), needed, seen };
    vec![
        gate(
            "ids in doubt that turned out to be applied",
            needed.unknown_applied as f64,
            doubts.applied as f64,
        ),
        gate(
            "ids in doubt that turned out not to be applied",
            needed.unknown_absent as f64,
            doubts.absent as f64,
        ),
        gate(
            "recorded rejections, % of all decisions",
            needed.rejected_percent,
            percent(refused, decisions.len()),
        ),
        gate(
            "answers that were replayed, % of those to ids that were sent before",
            needed.replayed_percent,
            percent(repeats.replayed, repeats.answered),
        ),
        gate("crashes and cuts", needed.crash_or_cut_cycles as f64, cycles as f64),
        gate("faults with evidence", faults.len() as f64, evident as f64),
        gate(
            "crashes and cuts that met requests under way",
            (cycles as f64 * MET).ceil(),
            met_callers as f64,
        ),
    ]
}

/// What looked at nothing has shown nothing.
pub(crate) fn looking(predicates: &[Predicate]) -> Gate {
    let idle = predicates.iter().filter(|predicate| predicate.looked_at == 0);
    let idle: Vec<&str> = idle.map(|predicate| &*predicate.name).collect();
    let of_which = match &idle[..] {
        [] => String::new(),
        idle => format!("; nothing was there for {}", idle.join(", ")),
    };
    Gate {
        name: format!("predicates that looked at something{of_which}"),
        needed: predicates.len() as f64,
        seen: (predicates.len() - idle.len()) as f64,
    }
}

/// Ids that a caller was left in doubt about, and what turned out afterwards. It counts only what the attempt
/// in doubt can have brought about: of another content, or of no form, it could not be applied anyway.
#[derive(Default)]
struct Doubts {
    applied: usize,
    absent: usize,
}

impl Doubts {
    fn of(timeline: &Timeline<'_>) -> Self {
        let (history, stored) = (timeline.history, timeline.stored);
        let looks = Looks::of(history);
        let mut doubts = Self::default();
        for (id, asks) in history.ids() {
            let Some(decision) = stored.decision(id) else { continue };
            let asks = || asks.iter().map(|ask| &history.asks[*ask as usize]);
            let in_doubt = |ask: &&Ask| ask.told.is_ambiguous() && stored.fits(decision, &ask.item);
            let Some(left) = asks().filter(in_doubt).map(|ask| history.request(ask).ret).min()
            else {
                continue;
            };
            let is_applied = |ask: &Ask| matches!(ask.told, Said::Applied(_));
            // Who is not told of a replay has made it: then nobody that is in doubt has.
            let made = asks().find(|ask| is_applied(ask) && !is_replayed(&ask.told));
            // Also who is told of a replay may have made it, by a batch that was sent twice.
            let told_by =
                |look: u64| asks().any(|ask| is_applied(ask) && history.request(ask).inv < look);
            let shown = || looks.shown.get(&id).is_some_and(|look| !told_by(*look));
            let made_afterwards = made.is_some_and(|ask| history.request(ask).inv > left);
            let looked_absent = looks.absent.get(&id).is_some_and(|look| *look > left);
            if made_afterwards || looked_absent && !is_of_nothing(decision) {
                doubts.absent += 1;
            } else if decision.reason.is_none() && shown() {
                doubts.applied += 1;
            }
        }
        doubts
    }
}

/// It was refused, as it would have been at any time: what it is about is not there.
fn is_of_nothing(decision: &Decision) -> bool {
    decision.reason.as_ref().is_some_and(|reason| reason.ends_with("_not_found"))
}

/// What the final phase saw of ids before it sent them again.
struct Looks {
    /// They were applied, first at this moment.
    shown: HashMap<u64, u64>,
    /// They were not decided, last at this moment.
    absent: HashMap<u64, u64>,
}

impl Looks {
    fn of(history: &History) -> Self {
        let mut looks = Self { shown: HashMap::new(), absent: HashMap::new() };
        for lookup in &history.lookups {
            match lookup.told {
                Some(Said::Applied(_)) => {
                    let first = looks.shown.entry(lookup.id).or_insert(lookup.inv);
                    *first = lookup.inv.min(*first);
                }
                Some(_) => {}
                None => {
                    let last = looks.absent.entry(lookup.id).or_default();
                    *last = lookup.inv.max(*last);
                }
            }
        }
        looks
    }
}

/// Answers to ids that had been sent before.
#[derive(Default)]
struct Repeats {
    answered: usize,
    replayed: usize,
}

impl Repeats {
    fn of(history: &History) -> Self {
        let mut repeats = Self::default();
        for (_, asks) in history.ids() {
            for ask in asks.iter().skip(1).map(|ask| &history.asks[*ask as usize]) {
                if matches!(ask.told, Said::Applied(_) | Said::Rejected { .. }) {
                    repeats.answered += 1;
                    repeats.replayed += usize::from(is_replayed(&ask.told));
                }
            }
        }
        repeats
    }
}
