//! Rules 6 to 8 of a transfer: what is known of its id.

use super::transfer::{
    Applied, BALANCING_CREDIT, BALANCING_DEBIT, CANCEL, PENDING, POST_PENDING, Transfer,
    VOID_PENDING,
};
use super::{Key, MAX, Model, Reason, State};

/// What was decided for good about an id.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Applied(Box<Record>),
    Burnt(Reason),
}

/// An applied transfer: what was made of it, and what was asked beside that.
#[derive(Debug, Clone)]
pub(super) struct Record {
    flags: u32,
    pending_id: Option<u128>,
    timeout: u64,
    reference: Option<String>,
    metadata: Option<String>,
    pub(super) applied: Applied,
    /// Of a hold.
    pub(super) state: State,
}

impl Record {
    pub(super) fn new(asked: &Transfer, applied: Applied) -> Self {
        let Transfer { flags, pending_id, timeout, reference, metadata, .. } = asked.clone();
        Self { flags, pending_id, timeout, reference, metadata, applied, state: State::Open }
    }

    /// Whether any of these flags is set.
    pub(super) fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    pub(super) fn is_hold(&self) -> bool {
        self.has(PENDING)
    }

    /// The moment from which a hold is over, if it ends by itself.
    pub(super) fn expires_at(&self) -> Option<i128> {
        let timeout = i128::from(self.timeout) * 1_000_000;
        (timeout > 0).then(|| i128::from(self.applied.created_at) + timeout)
    }
}

/// What an id says about an item that carries it.
pub(super) enum Known<A> {
    No,
    Equal(A),
    Different(Reason),
    Burnt(Reason),
}

impl Model {
    pub(super) fn record(&self, key: Key) -> Option<&Record> {
        match self.decided.get(&key)? {
            Decision::Applied(record) => Some(record),
            Decision::Burnt(_) => None,
        }
    }

    pub(super) fn known_transfer(&self, t: &Transfer) -> Known<Applied> {
        match self.decided.get(&t.key()) {
            None => Known::No,
            Some(Decision::Burnt(reason)) => Known::Burnt(reason),
            Some(Decision::Applied(record)) if t.has(CANCEL) => {
                // It is told that it came too late, and nothing of the content.
                Known::Equal(Applied { debit: 0, credit: 0, code: 0, ..record.applied.clone() })
            }
            Some(Decision::Applied(record)) => match self.difference(record, t) {
                Some(reason) => Known::Different(reason),
                None => Known::Equal(record.applied.clone()),
            },
        }
    }

    /// The first field in which `again` differs from the transfer that has its id.
    fn difference(&self, was: &Record, again: &Transfer) -> Option<Reason> {
        let applied = &was.applied;
        // Posting and voiding, what is left out is what the hold has.
        let inherits = was.has(POST_PENDING | VOID_PENDING);
        let differs = |was: u128, again: u128| was != again && !(inherits && again == 0);
        if was.flags != again.flags {
            Some("exists_with_different_flags")
        } else if was.pending_id != again.pending_id {
            Some("exists_with_different_pending_id")
        } else if was.timeout != again.timeout {
            Some("exists_with_different_timeout")
        } else if differs(applied.debit, again.debit) {
            Some("exists_with_different_debit_account")
        } else if differs(applied.credit, again.credit) {
            Some("exists_with_different_credit_account")
        } else if !self.is_same_amount(was, again) {
            Some("exists_with_different_amount")
        } else if was.reference != again.reference {
            Some("exists_with_different_reference")
        } else if was.metadata != again.metadata {
            Some("exists_with_different_metadata")
        } else if differs(applied.code.into(), again.code.into()) {
            Some("exists_with_different_code")
        } else {
            None
        }
    }

    fn is_same_amount(&self, was: &Record, again: &Transfer) -> bool {
        let stored = was.applied.amount;
        if was.has(POST_PENDING) {
            let hold = (again.ledger, was.pending_id.expect("a post names its hold"));
            let whole = self.record(hold).expect("the hold was applied").applied.amount;
            match again.amount {
                None | Some(MAX) => stored == whole,
                Some(again) => stored == again,
            }
        } else if was.has(VOID_PENDING) {
            again.amount.is_none_or(|again| again == stored)
        } else if was.has(BALANCING_DEBIT | BALANCING_CREDIT) {
            again.amount.is_some_and(|again| again >= stored)
        } else {
            again.amount == Some(stored)
        }
    }
}
