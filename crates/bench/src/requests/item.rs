//! One transfer of a request: what it asks for, and what it changes when it is applied.

use std::fmt::Write as _;

use bytes::BytesMut;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::books::Effect;

/// A hold that was made and may be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) id: Uuid,
    pub(crate) debit: u32,
    pub(crate) credit: u32,
    pub(crate) amount: i64,
}

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Moves the amount at once.
    Direct,
    /// Reserves the amount.
    Hold,
    /// Moves all of a hold, or this part of it, and releases the rest.
    Post { of: Hold, part: Option<i64> },
    /// Releases a hold.
    Void { of: Hold },
}

/// A transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: Uuid,
    pub(crate) debit: u32,
    pub(crate) credit: u32,
    pub(crate) amount: i64,
    pub(crate) step: Step,
    pub(crate) linked: bool,
}

impl Item {
    /// A transfer of an amount under a new id.
    pub(crate) fn new((debit, credit): (u32, u32), amount: i64) -> Self {
        Self { id: Uuid::now_v7(), debit, credit, amount, step: Step::Direct, linked: false }
    }

    /// A post or void of a hold.
    pub(crate) fn resolving(of: Hold, step: Step) -> Self {
        Self { step, ..Self::new((of.debit, of.credit), of.amount) }
    }

    /// What the balances become when this is applied.
    pub(crate) fn effect(&self) -> Effect {
        let (pending, posted) = match self.step {
            Step::Direct => (0, self.amount),
            Step::Hold => (self.amount, 0),
            Step::Post { of, part } => (-of.amount, part.unwrap_or(of.amount)),
            Step::Void { of } => (-of.amount, 0),
        };
        Effect { debit: self.debit, credit: self.credit, pending, posted }
    }

    /// Writes it as JSON. A post or void takes accounts, code and amount from its hold.
    pub(crate) fn write(&self, body: &mut BytesMut, accounts: &Accounts) {
        let Self { id, amount, .. } = self;
        let ledger = accounts.ids.ledger;
        // Writing to a `BytesMut` cannot fail: it grows.
        let _ = match self.step {
            Step::Direct | Step::Hold => {
                let (debit, credit) = (accounts.id(self.debit), accounts.id(self.credit));
                write!(
                    body,
                    r#"{{"id":"{id}","ledger":{ledger},"debit_account":"{debit}","credit_account":"{credit}","amount":"{amount}","code":1"#
                )
            }
            Step::Post { of, .. } | Step::Void { of } => {
                write!(body, r#"{{"id":"{id}","ledger":{ledger},"pending_id":"{}""#, of.id)
            }
        };
        body.extend_from_slice(match (self.step, self.linked) {
            (Step::Direct, false) => b"}",
            (Step::Direct, true) => br#","flags":["linked"]}"#,
            (Step::Hold, _) => br#","flags":["pending"]}"#,
            (Step::Post { .. }, _) => br#","flags":["post_pending"]"#,
            (Step::Void { .. }, _) => br#","flags":["void_pending"]}"#,
        });
        if let Step::Post { part, .. } = self.step {
            let _ = match part {
                Some(part) => write!(body, r#","amount":"{part}"}}"#),
                None => write!(body, "}}"),
            };
        }
    }
}
