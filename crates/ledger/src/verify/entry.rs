//! What is known of an account, row by row.

use super::totals::{Change, Side};
use super::values::{Moment, Stored};
use crate::Id;

/// What is known of an account: its row first, then movements, refusals and history by seq.
#[derive(Debug)]
pub(super) enum Entry {
    Account(Account),
    Movement(Movement),
    Refused(Refused),
    History(History),
}

/// An account's row.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) balances: [Stored; 4],
    pub(super) overdraft: Stored,
    pub(super) version: i64,
    pub(super) limits_debits: bool,
    pub(super) limits_credits: bool,
    pub(super) keeps_history: bool,
    pub(super) closed: bool,
    pub(super) created_at: Moment,
    pub(super) changed_at: Moment,
    pub(super) last_transfer: Option<Id>,
}

/// One side of a transfer, or of a hold that expired.
#[derive(Debug)]
pub(super) struct Movement {
    pub(super) id: Id,
    pub(super) side: Side,
    /// Nothing: its amount is none.
    pub(super) change: Option<Change>,
    pub(super) closes: bool,
    pub(super) reopens: bool,
    /// Voids and expirations: what a closed account still takes.
    pub(super) only_releases: bool,
    pub(super) at: Moment,
    /// Of a transfer.
    pub(super) link: Option<Link>,
}

/// What a transfer names as the one before it on the account.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) previous: Option<Id>,
}

/// One side of a refused transfer.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) id: Id,
    pub(super) side: Side,
    /// What it would have done, if that can be told.
    pub(super) change: Option<Change>,
}

/// The balances after a movement, as they were recorded.
#[derive(Debug)]
pub(super) struct History {
    pub(super) balances: [Stored; 4],
    pub(super) version: i64,
    pub(super) at: Moment,
}
