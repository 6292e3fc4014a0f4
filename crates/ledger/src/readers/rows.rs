//! From rows of the views to records.

use super::ReadError;
use crate::array::Array;
use crate::{
    AccountFlags, AccountRecord, Amount, Balances, HoldState, Id, Metadata, Recorded, Reference,
    TransferFlags, TransferRecord,
};
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

/// The columns of [`account`], of a relation named t.
pub(super) const ACCOUNT: &str = "t.ledger, t.id, t.code, t.flags, t.overdraft_limit, t.reference,
    t.metadata, t.debits_pending, t.debits_posted, t.credits_pending, t.credits_posted, t.version,
    t.created_at";

/// The columns of [`transfer`], of a relation named t.
pub(super) const TRANSFER: &str = "t.ledger, t.id, t.code, t.flags, t.debit_account,
    t.credit_account, t.amount, t.pending_id, t.timeout, t.reference, t.metadata, t.state, t.seq,
    t.created_at";

pub(super) fn account(row: &Row) -> Result<AccountRecord, ReadError> {
    Ok(AccountRecord {
        ledger: row.try_get(0)?,
        id: Id(row.try_get(1)?),
        code: row.try_get(2)?,
        flags: AccountFlags::from_names(row.try_get::<_, Array<&str>>(3)?.0)
            .ok_or_else(|| unknown("flag"))?,
        overdraft_limit: row.try_get(4)?,
        reference: row.try_get::<_, Option<String>>(5)?.map(Reference::from_stored),
        metadata: metadata(row, 6)?,
        balances: Balances {
            debits_pending: row.try_get::<_, Amount>(7)?,
            debits_posted: row.try_get(8)?,
            credits_pending: row.try_get(9)?,
            credits_posted: row.try_get(10)?,
            version: row.try_get(11)?,
            created_at: row.try_get(12)?,
        },
    })
}

pub(super) fn transfer(row: &Row) -> Result<TransferRecord, ReadError> {
    let state = row
        .try_get::<_, Option<&str>>(11)?
        .map(|name| HoldState::from_name(name).ok_or_else(|| unknown("state")));
    Ok(TransferRecord {
        ledger: row.try_get(0)?,
        id: Id(row.try_get(1)?),
        code: row.try_get(2)?,
        flags: TransferFlags::from_names(row.try_get::<_, Array<&str>>(3)?.0)
            .ok_or_else(|| unknown("flag"))?,
        debit_account: Id(row.try_get(4)?),
        credit_account: Id(row.try_get(5)?),
        amount: row.try_get(6)?,
        pending_id: row.try_get::<_, Option<Uuid>>(7)?.map(Id),
        timeout: row.try_get(8)?,
        reference: row.try_get::<_, Option<String>>(9)?.map(Reference::from_stored),
        metadata: metadata(row, 10)?,
        state: state.transpose()?,
        recorded: Some(Recorded { seq: row.try_get(12)?, created_at: row.try_get(13)? }),
    })
}

fn unknown(what: &str) -> ReadError {
    ReadError::Database(format!("a {what} that this version does not know"))
}

fn metadata(row: &Row, column: usize) -> Result<Option<Metadata>, ReadError> {
    let json: Option<Json<Box<RawValue>>> = row.try_get(column)?;
    Ok(json.map(|json| Metadata::from_stored(json.0)))
}
