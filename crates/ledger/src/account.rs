use crate::field::{self, FieldError, refuse};
use crate::json_schema::{AmountInput, Counter, IdInput, TimestampInput};
use crate::transfer::{decimal, rfc3339};
use crate::{AccountFlag, AccountFlags, Amount, Id, Metadata, Reference, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use utoipa::ToSchema;

/// An account as it came in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountInput {
    /// Made by Giro when absent; null is refused, it is a caller's id that got lost.
    #[serde(default, deserialize_with = "field::present")]
    #[schema(value_type = IdInput)]
    pub id: Option<Id>,
    /// 1 when absent; 0 is refused as `ledger_must_not_be_zero`.
    #[schema(maximum = 2147483647)]
    pub ledger: Option<u32>,
    /// The caller's type of account: 1 when absent; 0 is refused as `code_must_not_be_zero`.
    #[schema(maximum = 65535)]
    pub code: Option<u32>,
    /// None when absent.
    pub flags: Option<AccountFlags>,
    /// By how much the account may go past its limit; 0 when absent.
    #[schema(value_type = Option<AmountInput>)]
    pub overdraft_limit: Option<Amount>,
    /// The caller's own text.
    pub reference: Option<Reference>,
    /// The caller's own object.
    pub metadata: Option<Metadata>,
    /// When an imported account was created.
    #[schema(value_type = Option<TimestampInput>)]
    pub timestamp: Option<Timestamp>,
}

/// An account that can be created. Only [`NewAccount::new`] makes one.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub(crate) id: Id,
    pub(crate) ledger: i32,
    pub(crate) code: i32,
    pub(crate) flags: AccountFlags,
    pub(crate) overdraft_limit: Amount,
    pub(crate) reference: Option<Reference>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) timestamp: Option<Timestamp>,
}

impl NewAccount {
    /// Bytes that one account takes in a batch, without its reference and metadata.
    const BYTES_MIN: usize = 96;

    /// A valid account, with a new id when it came without.
    pub fn new(input: AccountInput) -> Result<Self, FieldError> {
        let flags = input.flags.unwrap_or_default();
        if input.timestamp.is_none() && flags.contains(AccountFlag::Imported) {
            return refuse("timestamp", "is missing: it is when the account was created");
        }
        Ok(Self {
            id: input.id.unwrap_or_default(),
            ledger: field::ledger(input.ledger)?,
            code: field::code(input.code)?,
            flags,
            overdraft_limit: input.overdraft_limit.unwrap_or(Amount(0)),
            reference: input.reference,
            metadata: input.metadata,
            timestamp: input.timestamp,
        })
    }

    /// Its id.
    pub fn is_linked(&self) -> bool {
        self.flags.contains(AccountFlag::Linked)
    }

    /// Its id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Bytes it takes in a batch.
    pub fn bytes(&self) -> usize {
        Self::BYTES_MIN
            + self.reference.as_ref().map_or(0, |r| r.as_str().len())
            + self.metadata.as_ref().map_or(0, Metadata::len)
    }
}

/// What moves on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Balances {
    /// Held on the debit side.
    pub debits_pending: Amount,
    /// Debited for good.
    pub debits_posted: Amount,
    /// Held on the credit side.
    pub credits_pending: Amount,
    /// Credited for good.
    pub credits_posted: Amount,
    /// Counts the transfers that changed the account, without a gap.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = Counter)]
    pub version: i64,
    /// When the account was created, by the database's clock.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = Timestamp)]
    pub created_at: SystemTime,
}

/// What the ledger says of an account that was created, now or earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatedAccount {
    /// As of now: `closed` comes and goes.
    pub flags: AccountFlags,
    /// As of now.
    pub balances: Balances,
}

/// An account as it is returned.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccountRecord {
    /// Its id.
    pub id: Id,
    /// Its ledger.
    #[schema(minimum = 1)]
    pub ledger: i32,
    /// The caller's type of account.
    #[schema(minimum = 1, maximum = 65535)]
    pub code: i32,
    /// Its flags.
    pub flags: AccountFlags,
    /// By how much the account may go past its limit.
    pub overdraft_limit: Amount,
    /// The caller's own text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reference: Option<Reference>,
    /// The caller's own object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
    /// As of now.
    #[serde(flatten)]
    pub balances: Balances,
}

impl AccountRecord {
    /// What came in, as it is now.
    pub fn new(account: NewAccount, CreatedAccount { flags, balances }: CreatedAccount) -> Self {
        Self {
            id: account.id,
            ledger: account.ledger,
            code: account.code,
            flags,
            overdraft_limit: account.overdraft_limit,
            reference: account.reference,
            metadata: account.metadata,
            balances,
        }
    }
}
