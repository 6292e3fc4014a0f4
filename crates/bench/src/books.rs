//! What the balances must have become, by what the server acknowledged.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The names of the balances, in the order of [`Balances`].
pub(crate) const BALANCES: [&str; 4] =
    ["debits_pending", "debits_posted", "credits_pending", "credits_posted"];

/// The balances of an account.
pub(crate) type Balances = [i64; BALANCES.len()];

/// By how much a transfer changes the balances of its two accounts: `debits_…` of the one and
/// `credits_…` of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The number of the debit account.
    pub(crate) debit: u32,
    /// The number of the credit account.
    pub(crate) credit: u32,
    /// Change of the pending balances.
    pub(crate) pending: i64,
    /// Change of the posted balances.
    pub(crate) posted: i64,
}

impl Effect {
    fn changes(self) -> [(u32, Balances); 2] {
        let Self { debit, credit, pending, posted } = self;
        [(debit, [pending, posted, 0, 0]), (credit, [0, 0, pending, posted])]
    }
}

/// What transfers with an unknown outcome take away at most, and add at most.
#[derive(Debug, Clone, Copy, Default)]
struct Doubt {
    down: i64,
    up: i64,
}

/// The changes of all accounts of a run, by their number: 32 bytes each.
#[derive(Debug)]
pub(crate) struct Books {
    acknowledged: Vec<[AtomicI64; BALANCES.len()]>,
    doubts: Mutex<HashMap<u32, [Doubt; BALANCES.len()]>>,
}

impl Books {
    /// Books of this many accounts.
    pub(crate) fn new(accounts: u32) -> Self {
        let acknowledged = (0..accounts).map(|_| Default::default()).collect();
        Self { acknowledged, doubts: Mutex::default() }
    }

    /// Enters a transfer that was applied.
    pub(crate) fn acknowledge(&self, effect: Effect) {
        for (account, changes) in effect.changes() {
            for (sum, change) in self.acknowledged[account as usize].iter().zip(changes) {
                if change != 0 {
                    sum.fetch_add(change, Ordering::Relaxed);
                }
            }
        }
    }

    /// Enters a transfer that may or may not have been applied.
    pub(crate) fn doubt(&self, effect: Effect) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        for (account, changes) in effect.changes() {
            for (doubt, change) in doubts.entry(account).or_default().iter_mut().zip(changes) {
                *(if change < 0 { &mut doubt.down } else { &mut doubt.up }) += change;
            }
        }
    }

    /// By how much each balance of an account was acknowledged to have changed.
    pub(crate) fn acknowledged(&self, account: u32) -> Balances {
        self.acknowledged[account as usize].each_ref().map(|sum| sum.load(Ordering::Relaxed))
    }

    /// By how much each balance of an account may have changed.
    pub(crate) fn expected(&self, account: u32) -> [RangeInclusive<i64>; BALANCES.len()] {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let doubts = doubts.get(&account).copied().unwrap_or_default();
        let acknowledged = self.acknowledged(account);
        std::array::from_fn(|balance| {
            let (sum, doubt) = (acknowledged[balance], doubts[balance]);
            sum + doubt.down..=sum + doubt.up
        })
    }
}
