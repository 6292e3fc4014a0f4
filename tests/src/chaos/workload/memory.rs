//! What callers remember: what was sent lately, which holds are open, and what nobody knows yet.

use super::request::items;
use fastrand::Rng;
use giro_checker::history::{Answer, Asked, Item, Told};
use giro_checker::model::{STICKY, transfer::PENDING};
use std::collections::VecDeque;

/// Requests that may be repeated.
const RECENT: usize = 8192;
/// Holds that may be posted or voided.
const HOLDS: usize = 2048;

/// What callers remember.
#[derive(Default)]
pub(super) struct Memory {
    recent: VecDeque<Vec<Item>>,
    holds: VecDeque<Hold>,
    doubts: Vec<Vec<Item>>,
    decided: Ids,
}

/// A hold that was applied, or may have been.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) id: u64,
    pub(super) amount: u64,
}

impl Memory {
    /// These are sent.
    pub(super) fn sent(&mut self, items: &[Item]) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(items.to_vec());
    }

    /// Something that was sent: half of the time a moment ago, when it may still be under way, and half
    /// of the time at any time that is remembered.
    pub(super) fn earlier(&self, random: &mut Rng) -> Option<Vec<Item>> {
        let back = if random.bool() { 32 } else { RECENT };
        let back = random.usize(0..back.min(self.recent.len().max(1)));
        self.recent.iter().nth_back(back).cloned()
    }

    /// A hold that nobody has resolved as yet, as far as it is known; it is not given again.
    pub(super) fn open_hold(&mut self, random: &mut Rng) -> Option<Hold> {
        if self.holds.is_empty() {
            return None;
        }
        self.holds.swap_remove_back(random.usize(0..self.holds.len()))
    }

    /// Somebody learnt this.
    pub(super) fn learn(&mut self, asked: &Asked, answer: &Answer) {
        let items = items(asked);
        match answer {
            Answer::Told(told) => {
                for (item, told) in items.iter().zip(told) {
                    self.learn_of(item, told);
                }
                if told.contains(&Told::Unknown) {
                    self.doubts.push(items.to_vec());
                }
            }
            Answer::None(_) if !items.is_empty() => self.doubts.push(items.to_vec()),
            _ => {}
        }
    }

    fn learn_of(&mut self, item: &Item, told: &Told) {
        let (is_decided, is_open) = match told {
            Told::Applied(applied) => (true, !applied.replayed),
            Told::Rejected { reason, .. } => (STICKY.contains(&reason.as_str()), false),
            Told::NotApplied(_) => (false, false),
            Told::Unknown => (false, true),
        };
        if is_decided {
            self.decided.insert(item.id);
        }
        if is_open && item.flags & PENDING != 0 {
            if self.holds.len() == HOLDS {
                self.holds.pop_front();
            }
            self.holds.push_back(Hold { id: item.id, amount: item.amount.unwrap_or(1) });
        }
    }

    /// Requests of which some item was never told to be applied, or refused for good.
    pub(super) fn unresolved(&self) -> Vec<Vec<Item>> {
        let in_doubt = |item: &Item| !self.decided.contains(item.id);
        let mut requests: Vec<_> =
            self.doubts.iter().filter(|items| items.iter().any(in_doubt)).cloned().collect();
        requests.sort_by_key(|items| items.first().map(|item| item.id));
        requests.dedup();
        requests
    }

    /// Whether it is known what became of an id, for good.
    pub(super) fn is_decided(&self, id: u64) -> bool {
        self.decided.contains(id)
    }
}

/// Ids from a dense range, a bit each: a run has millions.
#[derive(Default)]
struct Ids {
    words: Vec<u64>,
}

impl Ids {
    fn insert(&mut self, id: u64) {
        let (word, bit) = Self::place(id);
        if self.words.len() <= word {
            self.words.resize((word + 1).next_power_of_two(), 0);
        }
        self.words[word] |= 1 << bit;
    }

    fn contains(&self, id: u64) -> bool {
        let (word, bit) = Self::place(id);
        self.words.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }

    fn place(id: u64) -> (usize, u64) {
        ((id / 64) as usize, id % 64)
    }
}
