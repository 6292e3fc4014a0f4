use crate::field::{self, FieldError, refuse};
use crate::json_schema::{AmountInput, Counter, IdInput, Seconds, TimestampInput, VersionInput};
use crate::{Amount, Id, Metadata, Reference, Timestamp, TransferFlag, TransferFlags};
use serde::{Deserialize, Serialize, Serializer};
use std::time::SystemTime;
use utoipa::ToSchema;

/// A transfer as it came in. What a field alone can tell is checked while it is read; what only the
/// ledger can tell is judged later.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferInput {
    /// Made by Giro when absent; null is refused, it is a caller's id that got lost.
    #[serde(default, deserialize_with = "field::present")]
    #[schema(value_type = IdInput)]
    pub id: Option<Id>,
    /// 1 when absent; 0 is refused as `ledger_must_not_be_zero`.
    #[schema(maximum = 2147483647)]
    pub ledger: Option<u32>,
    /// Required but for posting and voiding: then it is the hold's.
    #[schema(value_type = Option<IdInput>)]
    pub debit_account: Option<Id>,
    /// Required but for posting and voiding: then it is the hold's.
    #[schema(value_type = Option<IdInput>)]
    pub credit_account: Option<Id>,
    /// Required but for posting, which posts all of the hold without it, and voiding.
    #[schema(value_type = Option<AmountInput>)]
    pub amount: Option<Amount>,
    /// The caller's type of transfer: 1 when absent; of a post or void the hold's when absent or 0, else
    /// 0 is refused as `code_must_not_be_zero`.
    #[schema(maximum = 65535)]
    pub code: Option<u32>,
    /// None when absent.
    pub flags: Option<TransferFlags>,
    /// The hold that is posted or voided.
    #[schema(value_type = Option<IdInput>)]
    pub pending_id: Option<Id>,
    /// Seconds until a hold expires.
    #[schema(value_type = Option<Seconds>)]
    pub timeout: Option<u64>,
    /// The caller's own text.
    pub reference: Option<Reference>,
    /// The caller's own object.
    pub metadata: Option<Metadata>,
    /// What the accounts' versions must be.
    pub expect: Option<ExpectedVersions>,
    /// How much a post or void resolves; the hold alone when absent.
    pub scope: Option<Scope>,
    /// When an imported transfer took place.
    #[schema(value_type = Option<TimestampInput>)]
    pub timestamp: Option<Timestamp>,
}

/// The versions that a transfer expects its accounts to have: optimistic locking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedVersions {
    /// Of the debit account.
    #[serde(default, deserialize_with = "field::version")]
    #[schema(value_type = VersionInput)]
    pub debit_version: Option<i64>,
    /// Of the credit account.
    #[serde(default, deserialize_with = "field::version")]
    #[schema(value_type = VersionInput)]
    pub credit_version: Option<i64>,
}

/// What a post or void resolves beside the hold that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every hold of the linked chain whose first hold it is, all or nothing.
    Chain,
}

/// A transfer that can be judged. Only [`Transfer::new`] makes one, so an invalid one does not exist.
#[derive(Debug, Clone)]
pub struct Transfer {
    pub(crate) id: Id,
    pub(crate) ledger: i32,
    pub(crate) debit_account: Id,
    pub(crate) credit_account: Id,
    /// None: all of the hold.
    pub(crate) amount: Option<Amount>,
    pub(crate) code: i32,
    pub(crate) flags: TransferFlags,
    pub(crate) pending_id: Option<Id>,
    pub(crate) timeout: Option<i64>,
    pub(crate) reference: Option<Reference>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) expect: Option<ExpectedVersions>,
    pub(crate) scope: Option<Scope>,
    pub(crate) timestamp: Option<Timestamp>,
}

impl Transfer {
    /// Bytes that one transfer takes in a batch, without its reference and metadata.
    const BYTES_MIN: usize = 192;

    /// Bytes that one transfer takes in a batch, at most.
    pub const BYTES_MAX: usize = Self::BYTES_MIN + Reference::CHARS_MAX * 4 + Metadata::BYTES_MAX;

    /// A valid transfer, with a new id when it came without.
    pub fn new(input: TransferInput) -> Result<Self, FieldError> {
        let flags = input.flags.unwrap_or_default();
        let inherits = flags.resolves_hold();
        if input.pending_id.is_none() && inherits {
            return refuse("pending_id", "is missing: it names the hold to post or void");
        }
        let account = |id: Option<Id>, field: &'static str| match id {
            Some(id) => Ok(id),
            None if inherits => Ok(INHERITED),
            None => refuse(field, "is missing"),
        };
        if input.amount.is_none() && !inherits {
            return refuse("amount", "is missing");
        }
        if input.scope.is_some() && !inherits {
            return refuse("scope", "is for posting or voiding a hold");
        }
        if input.scope.is_some() && input.amount.is_some() {
            return refuse("amount", "must be absent: each hold of the chain has its own");
        }
        if input.timestamp.is_none() && flags.contains(TransferFlag::Imported) {
            return refuse("timestamp", "is missing: it is when the transfer took place");
        }
        Ok(Self {
            id: input.id.unwrap_or_default(),
            ledger: field::ledger(input.ledger)?,
            debit_account: account(input.debit_account, "debit_account")?,
            credit_account: account(input.credit_account, "credit_account")?,
            amount: input.amount,
            code: if inherits && input.code.is_none() { 0 } else { field::code(input.code)? },
            flags,
            pending_id: input.pending_id,
            timeout: field::timeout(input.timeout)?,
            reference: input.reference,
            metadata: input.metadata,
            expect: input.expect,
            scope: input.scope,
            timestamp: input.timestamp,
        })
    }

    /// What settles an id for good, in a request of its own: its verdict is what was decided of the id
    /// before, else it is refused as [`Cancelled`](crate::Reason::Cancelled) and stays so. Of a transfer
    /// that had been applied the verdict tells the amount and the record alone.
    pub fn cancel(ledger: i32, id: Id) -> Self {
        Self {
            id,
            ledger,
            debit_account: INHERITED,
            credit_account: INHERITED,
            amount: None,
            code: 0,
            flags: TransferFlags::CANCEL,
            pending_id: None,
            timeout: None,
            reference: None,
            metadata: None,
            expect: None,
            scope: None,
            timestamp: None,
        }
    }

    /// Its id.
    pub fn is_linked(&self) -> bool {
        self.flags.contains(TransferFlag::Linked)
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

/// What a post or void carries in place of an account that it leaves to its hold, and a cancel always.
const INHERITED: Id = Id::ZERO;

/// What the ledger adds to a transfer when it applies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedTransfer {
    /// As applied.
    pub amount: Amount,
    /// What a post or void has from its hold.
    pub inherited: Option<Inherited>,
    /// `None` in a dry run.
    pub recorded: Option<Recorded>,
}

/// The place and the time of a transfer that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recorded {
    /// Grows along the history of every account.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = Counter, required = false)]
    pub seq: i64,
    /// The database's clock.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = Timestamp, required = false)]
    pub created_at: SystemTime,
}

/// What a post or void has from its hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inherited {
    /// The account debited.
    pub debit_account: Id,
    /// The account credited.
    pub credit_account: Id,
    /// The caller's type of transfer.
    pub code: i32,
}

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Nothing yet.
    Pending,
    /// It was posted, in full or in part.
    Posted,
    /// It was voided.
    Voided,
    /// Its time was over.
    Expired,
}

impl HoldState {
    /// As the views write it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "pending" => Some(Self::Pending),
            "posted" => Some(Self::Posted),
            "voided" => Some(Self::Voided),
            "expired" => Some(Self::Expired),
            _ => None,
        }
    }
}

/// An applied transfer as it is returned.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransferRecord {
    /// Its id.
    pub id: Id,
    /// Its ledger.
    #[schema(minimum = 1)]
    pub ledger: i32,
    /// The account debited.
    pub debit_account: Id,
    /// The account credited.
    pub credit_account: Id,
    /// As applied.
    pub amount: Amount,
    /// The caller's type of transfer.
    #[schema(minimum = 1, maximum = 65535)]
    pub code: i32,
    /// Its flags.
    pub flags: TransferFlags,
    /// The hold that it resolves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pending_id: Option<Id>,
    /// Seconds until the hold expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Seconds)]
    pub timeout: Option<i64>,
    /// The caller's own text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reference: Option<Reference>,
    /// The caller's own object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<Metadata>,
    /// Of a hold, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<HoldState>,
    /// Absent in a dry run.
    #[serde(flatten)]
    #[schema(value_type = Recorded)]
    pub recorded: Option<Recorded>,
}

impl TransferRecord {
    /// What came in, with what the ledger added. What became of a hold since is not known when it was
    /// `replayed`.
    pub fn new(transfer: Transfer, applied: AppliedTransfer, replayed: bool) -> Self {
        let held = transfer.flags.contains(TransferFlag::Pending) && !replayed;
        let Inherited { debit_account, credit_account, code } =
            applied.inherited.unwrap_or(Inherited {
                debit_account: transfer.debit_account,
                credit_account: transfer.credit_account,
                code: transfer.code,
            });
        Self {
            id: transfer.id,
            ledger: transfer.ledger,
            debit_account,
            credit_account,
            amount: applied.amount,
            code,
            flags: transfer.flags,
            pending_id: transfer.pending_id,
            timeout: transfer.timeout,
            reference: transfer.reference,
            metadata: transfer.metadata,
            state: held.then_some(HoldState::Pending),
            recorded: applied.recorded,
        }
    }
}

/// 64-bit integers are strings, as in proto3's JSON: JavaScript's numbers cannot hold them.
pub(crate) fn decimal<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(itoa::Buffer::new().format(*value))
}

/// Microseconds, as PostgreSQL keeps them.
pub(crate) fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    Timestamp(*time).serialize(serializer)
}
