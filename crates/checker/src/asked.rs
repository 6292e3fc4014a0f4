//! The history of a run, in memory: about 150 bytes an item.

use crate::history::{Answer, Applied, Asked, Attempt, Balances, Item, Opened, Told};
use crate::model::STICKY;
use crate::model::transfer::LINKED;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What callers asked and were told.
#[derive(Default)]
pub(crate) struct History {
    /// The accounts, as they were opened.
    pub(crate) opened: Vec<Opened>,
    /// Requests for transfers, in the order of the file.
    pub(crate) requests: Vec<Request>,
    /// Their items.
    pub(crate) asks: Vec<Ask>,
    /// The items by id, then in the order of the file.
    by_id: Vec<u32>,
    /// Reads of accounts that were answered.
    pub(crate) reads: Vec<Read>,
    /// Reads of transfers that were answered.
    pub(crate) lookups: Vec<Lookup>,
    words: BTreeSet<Arc<str>>,
}

pub(crate) struct Request {
    pub(crate) line: u32,
    pub(crate) server: u16,
    pub(crate) inv: u64,
    pub(crate) ret: u64,
    /// Its items begin here in [`History::asks`].
    first: u32,
}

/// An item, and what was told of it.
pub(crate) struct Ask {
    pub(crate) item: Item,
    request: u32,
    pub(crate) told: Said,
}

/// What was told of an item.
#[derive(Clone, PartialEq)]
pub(crate) enum Said {
    Applied(Applied),
    Rejected { reason: Arc<str>, replayed: bool },
    NotApplied(Arc<str>),
    NotSent,
    Unknown,
    Nothing,
}

pub(crate) struct Read {
    pub(crate) line: u32,
    pub(crate) inv: u64,
    pub(crate) ret: u64,
    pub(crate) account: u64,
    /// Nothing: there is no such account.
    pub(crate) balances: Option<Balances>,
}

pub(crate) struct Lookup {
    pub(crate) line: u32,
    pub(crate) inv: u64,
    pub(crate) ret: u64,
    pub(crate) id: u64,
    /// Nothing: it is not decided.
    pub(crate) told: Option<Said>,
}

impl Said {
    /// The caller does not know what became of it.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unknown | Self::Nothing)
    }

    /// This attempt cannot have brought anything about.
    pub(crate) fn never_ran(&self) -> bool {
        matches!(self, Self::NotApplied(_) | Self::NotSent)
    }
}

impl History {
    pub(crate) fn add(&mut self, line: u64, attempt: Attempt) {
        let Attempt { server, inv, ret, asked, answer, .. } = attempt;
        let line = line as u32;
        match asked {
            Asked::Transfers(items) => {
                let request = self.requests.len() as u32;
                let first = self.asks.len() as u32;
                self.requests.push(Request { line, server, inv, ret, first });
                let count = items.len();
                for (place, item) in items.into_iter().enumerate() {
                    let told = self.said(&answer, place, count);
                    self.asks.push(Ask { item, request, told });
                }
            }
            Asked::Account(account) => {
                let balances = match answer {
                    Answer::Account(balances) => Some(*balances),
                    Answer::Absent => None,
                    _ => return,
                };
                self.reads.push(Read { line, inv, ret, account, balances });
            }
            Asked::Transfer(id) => {
                let told = match answer {
                    Answer::Told(_) => Some(self.said(&answer, 0, 1)),
                    Answer::Absent => None,
                    _ => return,
                };
                self.lookups.push(Lookup { line, inv, ret, id, told });
            }
        }
    }

    /// What an answer says of one of the items. One that does not fit the question says nothing.
    fn said(&mut self, answer: &Answer, place: usize, items: usize) -> Said {
        match answer {
            Answer::Told(told) if told.len() == items => match &told[place] {
                Told::Applied(applied) => Said::Applied(applied.clone()),
                Told::Rejected { reason, replayed } => {
                    Said::Rejected { reason: self.word(reason), replayed: *replayed }
                }
                Told::NotApplied(reason) => Said::NotApplied(self.word(reason)),
                Told::Unknown => Said::Unknown,
            },
            Answer::NotSent => Said::NotSent,
            _ => Said::Nothing,
        }
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return word.clone();
        }
        let word = Arc::<str>::from(text);
        self.words.insert(word.clone());
        word
    }

    /// To be called once everything is added.
    pub(crate) fn index(&mut self) {
        self.by_id = (0..self.asks.len() as u32).collect();
        let asks = &self.asks;
        self.by_id.sort_unstable_by_key(|place| (asks[*place as usize].item.id, *place));
    }

    /// The items of each id.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (u64, &[u32])> {
        let id = |place: &u32| self.asks[*place as usize].item.id;
        self.by_id.chunk_by(move |a, b| id(a) == id(b)).map(move |some| (id(&some[0]), some))
    }

    pub(crate) fn request(&self, ask: &Ask) -> &Request {
        &self.requests[ask.request as usize]
    }

    /// Where the items of a request are.
    pub(crate) fn items(&self, request: usize) -> std::ops::Range<usize> {
        let end =
            self.requests.get(request + 1).map_or(self.asks.len(), |next| next.first as usize);
        self.requests[request].first as usize..end
    }

    /// The chain that an item is in, or itself.
    pub(crate) fn chain(&self, ask: usize) -> std::ops::Range<usize> {
        let items = self.items(self.asks[ask].request as usize);
        let is_linked = |place: &usize| self.asks[*place].item.flags & LINKED != 0;
        let first = (items.start..ask).rev().take_while(is_linked).last().unwrap_or(ask);
        let last = (ask..items.end).find(|place| !is_linked(place)).unwrap_or(items.end - 1);
        first..last + 1
    }

    /// What is told of an item says for good what became of its id.
    pub(crate) fn is_final(&self, ask: usize) -> bool {
        match &self.asks[ask].told {
            Said::Applied(_) => true,
            Said::Rejected { replayed: true, .. } => true,
            Said::Rejected { reason, .. } if &**reason == "linked_event_failed" => {
                self.broken_for_good(ask)
            }
            Said::Rejected { reason, .. } => STICKY.contains(&&**reason),
            _ => false,
        }
    }

    /// Whether what broke the chain of an item burnt the ids of the chain.
    fn broken_for_good(&self, ask: usize) -> bool {
        let broke = |place: usize| match &self.asks[place].told {
            Said::Rejected { reason, replayed }
                if *replayed || &**reason != "linked_event_failed" =>
            {
                Some(*replayed || STICKY.contains(&&**reason))
            }
            _ => None,
        };
        self.chain(ask).find_map(broke).unwrap_or(false)
    }
}
