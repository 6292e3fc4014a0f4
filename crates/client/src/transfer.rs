use crate::{Id, decimal};
use serde::{Deserialize, Serialize};

/// The caller's own JSON object.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A transfer to be made. `docs/api.md` says what each field means, and which go together; the server
/// judges it.
///
/// The constructors give it an id. Sending the same value again is always safe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transfer {
    /// Its id: what makes it happen at most once.
    pub id: Id,
    /// The ledger, 1 to 2^31-1.
    pub ledger: u32,
    /// Required but for posting and voiding: then it is the hold's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit_account: Option<Id>,
    /// Required but for posting and voiding: then it is the hold's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit_account: Option<Id>,
    /// In the ledger's smallest unit. Required but for posting and voiding: then it is all of the hold.
    #[serde(serialize_with = "decimal::serialize_some", skip_serializing_if = "Option::is_none")]
    pub amount: Option<u128>,
    /// Your type of transfer: 1 when absent; of a post or void the hold's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What kind of transfer it is; none of a direct one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<TransferFlag>,
    /// The hold that is posted or voided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_id: Option<Id>,
    /// Seconds until a hold expires; never when absent or 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Your own text, at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Your own object, at most 4096 bytes as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// The versions that the accounts must have.
    #[serde(skip_serializing_if = "ExpectedVersions::is_empty")]
    pub expect: ExpectedVersions,
    /// How much a post or void resolves.
    #[serde(skip_serializing_if = "Scope::is_hold")]
    pub scope: Scope,
    /// When an imported transfer took place: RFC 3339, in UTC, to the microsecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

impl Transfer {
    /// A direct transfer in ledger 1, with a new id.
    pub fn new(debit_account: Id, credit_account: Id, amount: u128) -> Self {
        Self {
            debit_account: Some(debit_account),
            credit_account: Some(credit_account),
            amount: Some(amount),
            ..Self::blank()
        }
    }

    /// A hold in ledger 1, with a new id: the amount is kept aside until it is posted, voided or expires.
    pub fn hold(debit_account: Id, credit_account: Id, amount: u128) -> Self {
        let flags = vec![TransferFlag::Pending];
        Self { flags, ..Self::new(debit_account, credit_account, amount) }
    }

    /// Posts all of a hold in ledger 1, or as much as `amount` then says; with a new id.
    pub fn post(hold: Id) -> Self {
        let flags = vec![TransferFlag::PostPending];
        Self { pending_id: Some(hold), flags, ..Self::blank() }
    }

    /// Voids a hold in ledger 1, with a new id.
    pub fn void(hold: Id) -> Self {
        let flags = vec![TransferFlag::VoidPending];
        Self { pending_id: Some(hold), flags, ..Self::blank() }
    }

    fn blank() -> Self {
        Self {
            id: Id::new(),
            ledger: 1,
            debit_account: None,
            credit_account: None,
            amount: None,
            code: None,
            flags: Vec::new(),
            pending_id: None,
            timeout: None,
            reference: None,
            metadata: None,
            expect: ExpectedVersions::default(),
            scope: Scope::default(),
            timestamp: None,
        }
    }
}

/// What kind of transfer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TransferFlag {
    /// In a chain with the next item of the request.
    Linked,
    /// A hold.
    Pending,
    /// Posts a hold.
    PostPending,
    /// Voids a hold.
    VoidPending,
    /// At most what the debit account has.
    BalancingDebit,
    /// At most what the credit account lacks.
    BalancingCredit,
    /// Closes the debit account.
    ClosingDebit,
    /// Closes the credit account.
    ClosingCredit,
    /// From another system, with its own time.
    Imported,
    /// One that this version of the crate does not know. Never send it.
    #[serde(other)]
    Other,
}

/// The versions that a transfer expects its accounts to have: optimistic locking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ExpectedVersions {
    /// Of the debit account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit_version: Option<u64>,
    /// Of the credit account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit_version: Option<u64>,
}

impl ExpectedVersions {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How much a post or void resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The hold alone.
    #[default]
    Hold,
    /// Every hold of the chain whose first one `pending_id` is.
    Chain,
}

impl Scope {
    fn is_hold(&self) -> bool {
        *self == Self::Hold
    }
}

/// A transfer that was applied, as the server returns it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct TransferRecord {
    /// Its id.
    pub id: Id,
    /// Its ledger.
    pub ledger: u32,
    /// The account debited.
    pub debit_account: Id,
    /// The account credited.
    pub credit_account: Id,
    /// As applied: a balancing transfer may have got less than it asked for.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub amount: u128,
    /// Your type of transfer.
    pub code: u16,
    /// What kind of transfer it is.
    pub flags: Vec<TransferFlag>,
    /// The hold that it resolves.
    pub pending_id: Option<Id>,
    /// Seconds until the hold expires.
    pub timeout: Option<u64>,
    /// Your own text.
    pub reference: Option<String>,
    /// Your own object.
    pub metadata: Option<Metadata>,
    /// Of a hold, as far as it is known: a replay does not say it.
    pub state: Option<HoldState>,
    /// Grows along the history of every account.
    #[serde(deserialize_with = "decimal::deserialize")]
    pub seq: u64,
    /// When it was applied, by the database's clock: RFC 3339, in UTC.
    pub created_at: String,
}

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HoldState {
    /// Nothing yet.
    Pending,
    /// It was posted, in full or in part.
    Posted,
    /// It was voided.
    Voided,
    /// Its time was over.
    Expired,
    /// One that this version of the crate does not know.
    #[serde(other)]
    Other,
}
