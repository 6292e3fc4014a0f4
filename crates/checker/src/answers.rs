//! C12: an id has one answer, everybody was given it, and what its reply says is what is stored.

use crate::asked::{Ask, History, Said};
use crate::history::Applied;
use crate::model::transfer::LINKED;
use crate::model::{Model, Transfer};
use crate::stored::{Decision, Stored};
use crate::timeline::{Timeline, is_replayed};
use crate::verdict::Predicate;

/// `model` as everything that was decided has left it; `database_refuses`: the run has items for which
/// PostgreSQL raises an error.
pub(crate) fn check(timeline: &Timeline<'_>, model: &Model, database_refuses: bool) -> Predicate {
    let mut predicate = Predicate::new(
        "C12",
        "Every answer is the one answer of its id, and says of it what is stored, or why nothing is.",
    );
    let (history, stored) = (timeline.history, timeline.stored);
    let answers = Answers { history, stored, timeline, model, database_refuses };
    for (id, asks) in timeline.history.ids() {
        let place = timeline.stored.place(id);
        for ask in asks {
            let ask = *ask as usize;
            if !answers.is_answered(ask) {
                continue;
            }
            let wrong = answers.fault(ask, place);
            predicate.holds_if(wrong.is_none(), || {
                let line = answers.line(ask);
                format!("line {line}, {id}: {}", wrong.unwrap_or_default())
            });
        }
        if let Some(wrong) = answers.two_first_answers(asks) {
            predicate.violated(|| format!("{id}: {wrong}"));
        }
    }
    predicate
}

struct Answers<'a> {
    history: &'a History,
    stored: &'a Stored,
    timeline: &'a Timeline<'a>,
    model: &'a Model,
    database_refuses: bool,
}

impl Answers<'_> {
    fn ask(&self, ask: usize) -> &Ask {
        &self.history.asks[ask]
    }

    fn line(&self, ask: usize) -> u32 {
        self.history.request(self.ask(ask)).line
    }

    fn is_answered(&self, ask: usize) -> bool {
        matches!(self.ask(ask).told, Said::Applied(_) | Said::Rejected { .. })
    }

    /// What is wrong with an answer.
    fn fault(&self, ask: usize, place: Option<usize>) -> Option<String> {
        let decision = place.map(|place| &self.stored.decisions[place]);
        match &self.ask(ask).told {
            Said::Applied(told) => self.applied(ask, told, decision),
            Said::Rejected { reason, .. } if self.history.is_final(ask) => match decision {
                Some(Decision { reason: Some(stored), .. }) if stored == reason => None,
                Some(Decision { reason: Some(stored), .. }) => {
                    Some(format!("refused for good as {reason}, stored as {stored}"))
                }
                Some(_) => Some(format!("refused for good as {reason}, and applied")),
                None => Some(format!("refused for good as {reason}, which is not stored")),
            },
            Said::Rejected { reason, .. } => {
                let wrong = self.refused(ask, reason, place);
                wrong.map(|wrong| format!("refused as {reason}, {wrong}"))
            }
            _ => None,
        }
    }

    fn applied(&self, ask: usize, told: &Applied, decision: Option<&Decision>) -> Option<String> {
        let item = &self.ask(ask).item;
        let applied = decision.filter(|decision| decision.reason.is_none());
        let Some(stored) = applied else { return Some("told applied, and is not".into()) };
        let Decision { id, seq, debit, credit, amount, .. } = *stored;
        let told = (told.id, told.seq, told.debit, told.credit, Some(told.amount));
        if told != (id, seq, debit, credit, amount) {
            let stored = (id, seq, debit, credit, amount);
            return Some(format!(
                "told (id, seq, debit, credit, amount) {told:?}, stored {stored:?}"
            ));
        }
        let differs = self.model.differs(&Transfer::from(item));
        differs.map(|reason| format!("told applied, though what was sent {reason}"))
    }

    /// What is wrong with a refusal that leaves the id as it was.
    fn refused(&self, ask: usize, reason: &str, place: Option<usize>) -> Option<String> {
        let item = Transfer::from(&self.ask(ask).item);
        let request = self.history.request(self.ask(ask));
        let applied = place.filter(|place| self.stored.decisions[*place].reason.is_none());
        let when = place.map(|place| self.timeline.when(place as u32));
        // Of its place in a chain, whatever its id.
        if reason == "linked_event_failed" {
            return (!self.is_broken_elsewhere(ask)).then(|| "and nothing broke its chain".into());
        }
        if reason == "linked_event_chain_open" {
            let last = self.history.chain(ask).end - 1;
            let is_open = last == ask && self.ask(ask).item.flags & LINKED != 0;
            return (!is_open).then(|| "and its chain has an end".into());
        }
        if reason.starts_with("exists") {
            let Some(when) = when.filter(|_| applied.is_some()) else {
                return Some("and nothing with this id was applied".into());
            };
            let expected = self.model.differs(&item).unwrap_or("exists");
            let is_late = when.after >= request.ret;
            return match expected == reason {
                true => is_late.then(|| "before anybody had asked for what it differs from".into()),
                false => Some(format!("and should have been as {expected}")),
            };
        }
        if when.is_some_and(|when| when.before < request.inv) {
            return Some("though its id was known to be decided".into());
        }
        if reason == "refused_by_database" {
            return (!self.database_refuses).then(|| "and nothing in the run makes it".into());
        }
        if self.meets_its_own_chain(ask) {
            return None;
        }
        let expected = self.model.refuses(i64::MAX, &item);
        (expected != Some(reason)).then(|| format!("and should have been {expected:?}"))
    }

    /// Whether another member of its chain has a reason of its own.
    fn is_broken_elsewhere(&self, ask: usize) -> bool {
        let broke = |place: usize| match &self.ask(place).told {
            Said::Rejected { reason, replayed } => *replayed || &**reason != "linked_event_failed",
            _ => false,
        };
        self.history.chain(ask).any(|place| place != ask && broke(place))
    }

    /// Whether its hold was made or resolved by its own chain, which is undone: nothing is left to judge
    /// it by.
    fn meets_its_own_chain(&self, ask: usize) -> bool {
        let Some(hold) = self.ask(ask).item.pending_id else { return false };
        let meets = |place: usize| {
            let item = &self.ask(place).item;
            item.id == hold || item.pending_id == Some(hold)
        };
        self.history.chain(ask).any(|place| place < ask && meets(place))
    }

    /// The first answer of an id is not a replay; all others are, and none of them comes before it.
    fn two_first_answers(&self, asks: &[u32]) -> Option<String> {
        let finals =
            || asks.iter().map(|ask| *ask as usize).filter(|ask| self.history.is_final(*ask));
        let mut first = finals().filter(|ask| !is_replayed(&self.ask(*ask).told));
        let made = first.next()?;
        let line = self.line(made);
        if let Some(again) = first.next() {
            return Some(format!("two first answers, lines {line} and {}", self.line(again)));
        }
        let asked = self.history.request(self.ask(made)).inv;
        let earlier = finals().find(|ask| self.history.request(self.ask(*ask)).ret < asked)?;
        Some(format!("a first answer in line {line} after that in line {}", self.line(earlier)))
    }
}
