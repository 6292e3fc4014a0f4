//! When everything that was decided can have happened, and in which order along each account.

use crate::asked::{History, Said};
use crate::stored::{Decision, Stored};
use std::collections::HashMap;

/// Decisions and expirations, numbered: first the one, then the other, each by seq.
pub(crate) struct Timeline<'a> {
    pub(crate) history: &'a History,
    pub(crate) stored: &'a Stored,
    /// Of every decision.
    when: Vec<When>,
    /// The numbers of what was judged on an account, by seq.
    pub(crate) lines: HashMap<u64, Vec<u32>>,
}

/// What is known of the moment at which something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct When {
    /// Not before this: nobody had asked for it.
    pub(crate) after: u64,
    /// Before this: then somebody knew of it.
    pub(crate) before: u64,
}

impl When {
    /// Both can have been under way at the same time.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.after <= other.before && other.after <= self.before
    }
}

const ANY_TIME: When = When { after: 0, before: u64::MAX };

/// Something that is stored.
pub(crate) enum Event<'a> {
    Decided(&'a Decision),
    /// This hold was released. Nothing: there is no such hold.
    Expired(Option<&'a Decision>),
}

impl<'a> Timeline<'a> {
    pub(crate) fn new(history: &'a History, stored: &'a Stored) -> Self {
        let mut when = vec![ANY_TIME; stored.decisions.len()];
        for (id, asks) in history.ids() {
            if let Some(place) = stored.place(id) {
                when[place] = happened(history, asks, stored, &stored.decisions[place]);
            }
        }
        for lookup in &history.lookups {
            let told = lookup.told.as_ref();
            if let (Some(told), Some(place)) = (told, stored.place(lookup.id))
                && knows(told, &stored.decisions[place])
            {
                when[place].before = when[place].before.min(lookup.ret);
            }
        }
        let mut timeline = Self { history, stored, when, lines: HashMap::new() };
        timeline.draw_lines();
        timeline
    }

    fn draw_lines(&mut self) {
        for number in self.by_seq() {
            let (debit, credit) = match self.event(number) {
                Event::Decided(decision) => (decision.debit, decision.credit),
                Event::Expired(Some(hold)) => (hold.debit, hold.credit),
                Event::Expired(None) => continue,
            };
            let both = [Some(debit), Some(credit).filter(|credit| *credit != debit)];
            for account in both.into_iter().flatten() {
                if self.stored.accounts.contains_key(&account) {
                    self.lines.entry(account).or_default().push(number);
                }
            }
        }
    }

    /// All numbers, in the order of seq.
    pub(crate) fn by_seq(&self) -> impl Iterator<Item = u32> + use<> {
        let count = self.stored.decisions.len() as u32;
        let decisions: Vec<_> = self.stored.decisions.iter().map(|decision| decision.seq).collect();
        let mut decided = 0;
        let released: Vec<_> = self.stored.expirations.iter().map(|release| release.seq).collect();
        let mut expired = 0;
        std::iter::from_fn(move || {
            let next = decisions.get(decided);
            match released.get(expired) {
                Some(release) if next.is_none_or(|next| release < next) => {
                    expired += 1;
                    Some(count + expired as u32 - 1)
                }
                _ => {
                    decided += 1;
                    next.map(|_| decided as u32 - 1)
                }
            }
        })
    }

    /// How many decisions and expirations there are.
    pub(crate) fn len(&self) -> usize {
        self.stored.decisions.len() + self.stored.expirations.len()
    }

    pub(crate) fn event(&self, number: u32) -> Event<'a> {
        let stored = self.stored;
        match (number as usize).checked_sub(stored.decisions.len()) {
            None => Event::Decided(&stored.decisions[number as usize]),
            Some(place) => Event::Expired(stored.hold(stored.expirations[place].id)),
        }
    }

    /// Whether it changed its accounts.
    pub(crate) fn changes(&self, number: u32) -> bool {
        self.stored.decisions.get(number as usize).is_none_or(|decision| decision.reason.is_none())
    }

    pub(crate) fn when(&self, number: u32) -> When {
        self.when.get(number as usize).copied().unwrap_or(ANY_TIME)
    }
}

/// When a decision was made, by what those who asked for it were told.
fn happened(history: &History, asks: &[u32], stored: &Stored, decision: &Decision) -> When {
    let mut when = When { after: u64::MAX, before: u64::MAX };
    let mut made = None;
    for place in asks {
        let ask = &history.asks[*place as usize];
        let request = history.request(ask);
        if may_have_made(&ask.told, decision) && stored.fits(decision, &ask.item) {
            when.after = when.after.min(request.inv);
        }
        let is_final = history.is_final(*place as usize);
        if is_refused_as_different(&ask.told) && decision.reason.is_none()
            || is_final && knows(&ask.told, decision)
        {
            when.before = when.before.min(request.ret);
            if is_final && !is_replayed(&ask.told) {
                made = Some(made.map_or(request.inv, |earlier: u64| earlier.min(request.inv)));
            }
        }
    }
    // Who was not told that it had been decided before, has decided it.
    when.after = made.unwrap_or(if when.after == u64::MAX { 0 } else { when.after });
    when
}

fn may_have_made(told: &Said, decision: &Decision) -> bool {
    told.is_ambiguous() || knows(told, decision)
}

/// Whether what was told is what was decided.
fn knows(told: &Said, decision: &Decision) -> bool {
    match told {
        Said::Applied(_) => decision.reason.is_none(),
        Said::Rejected { reason, .. } => decision.reason.as_ref() == Some(reason),
        _ => false,
    }
}

/// The id had been applied, with another content or by another chain.
fn is_refused_as_different(told: &Said) -> bool {
    matches!(told, Said::Rejected { reason, .. } if reason.starts_with("exists"))
}

pub(crate) fn is_replayed(told: &Said) -> bool {
    match told {
        Said::Applied(applied) => applied.replayed,
        Said::Rejected { replayed, .. } => *replayed,
        _ => false,
    }
}
