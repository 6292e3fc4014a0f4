//! The rules of the ledger in plain Rust, one item after another: the oracle of the property tests.
//! It shares no code and no data structure with the array functions. What it costs does not grow with what
//! it holds, so that a run of 10^7 transfers can be replayed.
//!
//! | file | holds |
//! | --- | --- |
//! | `transfer`, `account` | what is asked for, and the state it meets |
//! | `request` | the items of a request in order; chains |
//! | `undo` | what a chain has changed, until it stands |
//! | `known` | ids that are taken: by the same content, by another, or burnt |
//! | `direct` | the rules of direct transfers and holds |
//! | `resolve` | the rules of posting and voiding; expiry |
//! | `create` | the rules of accounts |
//! | `ask` | what would be answered |
//!
//! Times are microseconds since 1970, on a clock that never goes back.

/// Named bits.
macro_rules! flags {
    ($($bit:literal $flag:ident $name:literal;)+) => {
        $(#[doc = $name] pub const $flag: u32 = 1 << $bit;)+
        /// The names of the flags, by bit.
        pub const FLAG_NAMES: &[&str] = &[$($name),+];
    };
}

pub mod account;
mod ask;
mod create;
mod direct;
mod known;
mod request;
mod resolve;
#[cfg(test)]
mod tests;
pub mod transfer;
mod undo;

pub use account::{Account, Balances, Change, NewAccount, Snapshot};
pub use resolve::{Hold, State};
pub use transfer::{Applied, Transfer};

use known::Decision;
use std::collections::{BTreeMap, BTreeSet};
use undo::Was;

/// A ledger and an id in it.
pub type Key = (u32, u128);

/// The name of a reason.
pub type Reason = &'static str;

/// 2^128-1: the id that nothing may have, and the amount that means all.
pub const MAX: u128 = u128::MAX;

/// The reasons that depend on state: they burn the id.
pub const STICKY: [Reason; 9] = [
    "cancelled",
    "debit_account_not_found",
    "credit_account_not_found",
    "pending_transfer_not_found",
    "debit_account_already_closed",
    "credit_account_already_closed",
    "version_mismatch",
    "exceeds_credits",
    "exceeds_debits",
];

/// The names of the bits that are set.
pub fn names(flags: u32, names: &[&'static str]) -> Vec<&'static str> {
    let is_set = |(bit, name): (usize, &&'static str)| (flags >> bit & 1 == 1).then_some(*name);
    names.iter().enumerate().filter_map(is_set).collect()
}

/// What becomes of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement<A> {
    /// What was applied, or why it was refused.
    pub outcome: Result<A, Reason>,
    /// The same id had this answer before.
    pub replayed: bool,
}

/// Ledgers in memory.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Every account.
    pub accounts: BTreeMap<Key, Account>,
    /// Transfers that no item carries the id of: those of the further holds of a chain, by the item that
    /// resolved the chain and the hold.
    pub further: BTreeSet<(Key, Key)>,
    decided: BTreeMap<Key, Decision>,
    /// Of every hold that was made in a chain: the chain's first member, and the hold's place.
    chains: BTreeMap<Key, (Key, usize)>,
    /// The time of the last import into a ledger.
    imported_transfers: BTreeMap<u32, i64>,
    imported_accounts: BTreeMap<u32, i64>,
    /// While a chain is judged.
    undo: Option<Vec<Was>>,
}

impl Model {
    /// Judges the transfers of one request and applies them.
    pub fn apply_request(&mut self, now: i64, items: &[Transfer]) -> Vec<Judgement<Applied>> {
        self.request(now, items)
    }

    /// Judges the accounts of one request and creates them.
    pub fn create_request(&mut self, now: i64, items: &[NewAccount]) -> Vec<Judgement<Snapshot>> {
        self.request(now, items)
    }

    /// The time of the last import of a transfer into a ledger.
    pub fn last_import(&self, ledger: u32) -> Option<i64> {
        self.imported_transfers.get(&ledger).copied()
    }

    /// How many transfers were applied, and how many ids are burnt.
    pub fn decided(&self) -> (usize, usize) {
        let is_applied = |decision: &&Decision| matches!(decision, Decision::Applied(_));
        let items = self.decided.values().filter(is_applied).count();
        (items + self.further.len(), self.decided.len() - items)
    }
}
