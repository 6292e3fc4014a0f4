//! The requests of one connection, and what becomes of them.
//!
//! - `pairs`: between which accounts. `item`: one transfer. `holds`: what can be posted or voided.
//!   `reads`: what can be read.

mod holds;
mod item;
mod pairs;
mod reads;

use bytes::{Bytes, BytesMut};
use hyper::{Method, Uri};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::Options;
use crate::accounts::Accounts;
use crate::books::Books;
use crate::outcome::Outcome;
use crate::recorder::Kind;
use crate::workload::{LONGEST_CHAIN, MIXED_BULK, Workload};

use self::holds::Holds;
use self::item::Item;
use self::pairs::Pairs;
use self::reads::Reads;

const LARGEST_AMOUNT: i64 = 100;

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
}

/// Draws the requests of one connection.
pub(crate) struct Requests {
    workload: Workload,
    bulk: usize,
    accounts: Accounts,
    pairs: Pairs,
    random: SmallRng,
    /// The transfers of the request under way; none of a read.
    items: Vec<Item>,
    holds: Holds,
    reads: Reads,
    body: BytesMut,
}

impl Requests {
    /// The requests of the connection with this number.
    pub(crate) fn new(options: &Options, accounts: &Accounts, connection: u64) -> Self {
        Self {
            workload: options.workload,
            bulk: options.bulk,
            pairs: Pairs::new(options.workload, accounts.hot, accounts.cold),
            accounts: accounts.clone(),
            random: SmallRng::seed_from_u64(options.seed.rotate_left(32) ^ connection),
            items: Vec::new(),
            holds: Holds::default(),
            reads: Reads::default(),
            body: BytesMut::new(),
        }
    }

    /// Draws the next request. The one before must be settled.
    pub(crate) fn next(&mut self) -> Request {
        self.items.clear();
        match self.workload {
            Workload::Chains => {
                let length = self.random.random_range(2..=LONGEST_CHAIN);
                self.transfers(Kind::Chain, length)
            }
            Workload::Mixed => match self.random.random_range(0..100) {
                0..80 => Request {
                    kind: Kind::Read,
                    method: Method::GET,
                    uri: self.reads.draw(&self.accounts, &mut self.random),
                    body: Bytes::new(),
                },
                80..95 => self.transfers(Kind::Single, 1),
                _ => self.transfers(Kind::Bulk, MIXED_BULK),
            },
            _ if self.bulk > 1 => self.transfers(Kind::Bulk, self.bulk),
            _ => self.transfers(Kind::Single, 1),
        }
    }

    fn transfers(&mut self, kind: Kind, count: usize) -> Request {
        for position in 1..=count {
            let pair = self.pairs.draw(&mut self.random);
            let mut item = Item::new(pair, self.random.random_range(1..=LARGEST_AMOUNT));
            item.linked = kind == Kind::Chain && position < count;
            if self.workload == Workload::Holds {
                item = self.holds.hold_or_resolve(item, &mut self.random);
            }
            if kind != Kind::Single {
                self.body.extend_from_slice(if position == 1 { b"[" } else { b"," });
            }
            item.write(&mut self.body, &self.accounts);
            self.items.push(item);
        }
        if kind != Kind::Single {
            self.body.extend_from_slice(b"]");
        }
        let path = if kind == Kind::Single { "/transfer" } else { "/transfers" };
        let body = self.body.split().freeze();
        Request { kind, method: Method::POST, uri: Uri::from_static(path), body }
    }

    /// Transfers in the request under way.
    pub(crate) fn items(&self) -> usize {
        self.items.len()
    }

    /// Enters into the books what became of each transfer of the request under way.
    pub(crate) fn settle(&mut self, outcomes: impl Iterator<Item = Outcome>, books: &Books) {
        for (item, outcome) in self.items.iter().zip(outcomes) {
            match outcome {
                Outcome::Applied => {
                    books.acknowledge(item.effect());
                    match self.workload {
                        Workload::Holds => self.holds.applied(item),
                        Workload::Mixed => self.reads.applied(item.id),
                        _ => {}
                    }
                }
                // Its hold may be gone, and is left alone from now on.
                Outcome::Unknown => books.doubt(item.effect()),
                Outcome::Rejected | Outcome::NotApplied => self.holds.not_applied(item),
            }
        }
    }
}
