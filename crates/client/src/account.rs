use crate::{Id, Metadata, decimal};
use serde::{Deserialize, Serialize};

/// An account to be created. `docs/api.md` says what each field means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Its id.
    pub id: Id,
    /// Its ledger, 1 to 2^31-1.
    pub ledger: u32,
    /// Your type of account.
    pub code: u16,
    /// What it refuses, and what it keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<AccountFlag>,
    /// By how much it may go past its limit.
    #[serde(serialize_with = "decimal::serialize")]
    pub overdraft_limit: u128,
    /// Your own text, at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Your own object, at most 4096 bytes as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// When an imported account was created: RFC 3339, in UTC, to the microsecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

impl Account {
    /// An account without limits in ledger 1.
    pub fn new(id: Id) -> Self {
        Self {
            id,
            ledger: 1,
            code: 1,
            flags: Vec::new(),
            overdraft_limit: 0,
            reference: None,
            metadata: None,
            timestamp: None,
        }
    }
}

/// What an account refuses, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AccountFlag {
    /// In a chain with the next item of the request.
    Linked,
    /// Never owes more than its overdraft limit.
    DebitsMustNotExceedCredits,
    /// The mirror of that.
    CreditsMustNotExceedDebits,
    /// Keeps the balances after each change.
    History,
    /// From another system, with its own time.
    Imported,
    /// Refuses everything but voids and expiry.
    Closed,
    /// One that this version of the crate does not know. Never send it.
    #[serde(other)]
    Other,
}

/// An account as it is now, as the server returns it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct AccountRecord {
    /// Its id.
    pub id: Id,
    /// Its ledger.
    pub ledger: u32,
    /// Your type of account.
    pub code: u16,
    /// What it refuses, and what it keeps.
    pub flags: Vec<AccountFlag>,
    /// By how much it may go past its limit.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub overdraft_limit: u128,
    /// Your own text.
    pub reference: Option<String>,
    /// Your own object.
    pub metadata: Option<Metadata>,
    /// Held on the debit side.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub debits_pending: u128,
    /// Debited for good.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub debits_posted: u128,
    /// Held on the credit side.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub credits_pending: u128,
    /// Credited for good.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub credits_posted: u128,
    /// Counts the changes of the account, without a gap.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub version: u64,
    /// When it was created, by the database's clock: RFC 3339, in UTC.
    pub created_at: String,
}
