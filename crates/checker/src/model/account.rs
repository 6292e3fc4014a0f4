//! Accounts, as they are asked for and as they are.

use super::{Key, names};
use std::fmt;

flags! {
    0 LINKED "linked";
    1 DEBITS_MUST_NOT_EXCEED_CREDITS "debits_must_not_exceed_credits";
    2 CREDITS_MUST_NOT_EXCEED_DEBITS "credits_must_not_exceed_debits";
    3 HISTORY "history";
    4 IMPORTED "imported";
    5 CLOSED "closed";
}

/// An account that is asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id.
    pub id: u128,
    /// Its ledger.
    pub ledger: u32,
    /// The caller's type.
    pub code: u32,
    /// Bits.
    pub flags: u32,
    /// Loosens either limit.
    pub overdraft_limit: u128,
    /// The caller's text.
    pub reference: Option<String>,
    /// The caller's object, as text.
    pub metadata: Option<String>,
    /// When it was opened, by another system.
    pub timestamp: Option<i64>,
}

impl NewAccount {
    /// Its ledger and id.
    pub fn key(&self) -> Key {
        (self.ledger, self.id)
    }

    /// Whether any of these flags is set.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }
}

/// On one line, without what is not there.
impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} code {}", self.key(), self.code)?;
        write!(f, " {:?}", names(self.flags, FLAG_NAMES))?;
        write!(f, " overdraft {}", self.overdraft_limit)?;
        for text in self.reference.iter().chain(&self.metadata) {
            write!(f, " {text}")?;
        }
        self.timestamp.map_or(Ok(()), |at| write!(f, " at {at}"))
    }
}

/// The four balances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// Held on the debit side.
    pub debits_pending: u128,
    /// Debited for good.
    pub debits_posted: u128,
    /// Held on the credit side.
    pub credits_pending: u128,
    /// Credited for good.
    pub credits_posted: u128,
}

/// An account as it was after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Counts the changes.
    pub version: i64,
    /// After it.
    pub balances: Balances,
    /// When.
    pub at: i64,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// As it was asked for.
    pub asked: NewAccount,
    /// Takes no transfers.
    pub closed: bool,
    /// Now.
    pub balances: Balances,
    /// Counts the transfers that changed it.
    pub version: i64,
    /// When it was created.
    pub created_at: i64,
    /// When its last transfer was, or its creation.
    pub changed_at: i64,
    /// After every change, with the flag `history`.
    pub history: Vec<Change>,
}

/// An account as its creator is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its balances.
    pub balances: Balances,
    /// Its version.
    pub version: i64,
    /// When it was created.
    pub created_at: i64,
}

impl Account {
    /// As its creator is told.
    pub fn snapshot(&self) -> Snapshot {
        let Self { balances, version, created_at, .. } = *self;
        Snapshot { balances, version, created_at }
    }

    /// Another transfer, or an expiry, has changed it.
    pub(super) fn change(&mut self, at: i64, balances: Balances) {
        self.balances = balances;
        self.version += 1;
        self.changed_at = at;
        if self.asked.has(HISTORY) {
            self.history.push(Change { version: self.version, balances, at });
        }
    }

    /// What may still be debited: credits posted and the overdraft, less all debits.
    pub(super) fn room_to_debit(&self) -> u128 {
        let b = &self.balances;
        room(b.credits_posted, self.asked.overdraft_limit, b.debits_pending + b.debits_posted)
    }

    /// The mirror.
    pub(super) fn room_to_credit(&self) -> u128 {
        let b = &self.balances;
        room(b.debits_posted, self.asked.overdraft_limit, b.credits_pending + b.credits_posted)
    }
}

/// max(0, backing + overdraft - used), or 2^128-1 where it is more than any amount.
fn room(backing: u128, overdraft: u128, used: u128) -> u128 {
    let unused = backing.saturating_sub(used);
    let uncovered = used.saturating_sub(backing);
    match uncovered {
        0 => unused.saturating_add(overdraft),
        uncovered => overdraft.saturating_sub(uncovered),
    }
}
