//! Transfers, as they are asked for and as they are applied.

use super::{Key, names};
use std::fmt;

flags! {
    0 LINKED "linked";
    1 PENDING "pending";
    2 POST_PENDING "post_pending";
    3 VOID_PENDING "void_pending";
    4 BALANCING_DEBIT "balancing_debit";
    5 BALANCING_CREDIT "balancing_credit";
    6 CLOSING_DEBIT "closing_debit";
    7 CLOSING_CREDIT "closing_credit";
    8 IMPORTED "imported";
    9 CANCEL "(cancel)";
}

/// What is asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: u128,
    /// Its ledger.
    pub ledger: u32,
    /// The account debited; 0: the hold's.
    pub debit: u128,
    /// The account credited; 0: the hold's.
    pub credit: u128,
    /// How much; only posting and voiding may leave it out.
    pub amount: Option<u128>,
    /// The caller's type; 0: the hold's.
    pub code: u32,
    /// Bits.
    pub flags: u32,
    /// The hold to post or void.
    pub pending_id: Option<u128>,
    /// Seconds until a hold expires; 0: never.
    pub timeout: u64,
    /// The caller's text.
    pub reference: Option<String>,
    /// The caller's object, as text.
    pub metadata: Option<String>,
    /// The version that the debit account must have.
    pub expect_debit: Option<i64>,
    /// The version that the credit account must have.
    pub expect_credit: Option<i64>,
    /// Posts or voids every hold of the chain.
    pub scope_chain: bool,
    /// When it happened, by another system.
    pub timestamp: Option<i64>,
}

impl Transfer {
    /// What settles an id, in a request of its own.
    pub fn cancel((ledger, id): Key) -> Self {
        Self { id, ledger, flags: CANCEL, ..Self::default() }
    }

    /// Its ledger and id.
    pub fn key(&self) -> Key {
        (self.ledger, self.id)
    }

    /// Whether any of these flags is set.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether it posts or voids a hold.
    pub fn resolves(&self) -> bool {
        self.has(POST_PENDING | VOID_PENDING)
    }
}

/// On one line, without what is not there.
impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} to {}", self.key(), self.debit, self.credit)?;
        write!(f, " {:?}", names(self.flags, FLAG_NAMES))?;
        let mut field = |name: &str, value: Option<String>| match value {
            Some(value) => write!(f, " {name} {value}"),
            None => Ok(()),
        };
        field("amount", self.amount.map(|amount| amount.to_string()))?;
        field("code", Some(self.code.to_string()))?;
        field("pending_id", self.pending_id.map(|id| id.to_string()))?;
        field("timeout", (self.timeout > 0).then(|| self.timeout.to_string()))?;
        field("reference", self.reference.clone())?;
        field("metadata", self.metadata.clone())?;
        field("expect_debit", self.expect_debit.map(|version| version.to_string()))?;
        field("expect_credit", self.expect_credit.map(|version| version.to_string()))?;
        field("scope", self.scope_chain.then(|| "chain".into()))?;
        field("at", self.timestamp.map(|at| at.to_string()))
    }
}

/// What the ledger made of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The amount moved.
    pub amount: u128,
    /// The account debited.
    pub debit: u128,
    /// The account credited.
    pub credit: u128,
    /// Its code.
    pub code: u32,
    /// When.
    pub created_at: i64,
}
