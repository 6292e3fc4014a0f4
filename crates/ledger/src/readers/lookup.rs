use super::rows::{ACCOUNT, TRANSFER, account, transfer};
use super::session::Reader;
use super::{Read, ReadError};
use crate::{AccountRecord, Id, Reason, TransferRecord};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// An account as it is now.
#[derive(Debug, Clone, Copy)]
pub struct AccountById {
    /// Its ledger.
    pub ledger: i32,
    /// Its id.
    pub id: Id,
}

/// What became of a transfer's id.
#[derive(Debug, Clone, Copy)]
pub struct TransferById {
    /// Its ledger.
    pub ledger: i32,
    /// Its id.
    pub id: Id,
}

/// What is known of a transfer's id.
#[derive(Debug)]
pub enum TransferState {
    /// It was applied.
    Applied(TransferRecord),
    /// It was refused for good.
    Rejected(Reason),
    /// Neither: it was never judged, or refused in a way that leaves the id free.
    Undecided,
}

impl Read for AccountById {
    type Output = Option<AccountRecord>;

    async fn run(&self, reader: &Reader) -> Result<Option<AccountRecord>, ReadError> {
        let sql =
            format!("SELECT {ACCOUNT} FROM giro.accounts t WHERE t.ledger = $1 AND t.id = $2");
        by_key(reader, &sql, self.ledger, self.id).await?.as_ref().map(account).transpose()
    }
}

impl Read for TransferById {
    type Output = TransferState;

    async fn run(&self, reader: &Reader) -> Result<TransferState, ReadError> {
        let sql =
            format!("SELECT {TRANSFER} FROM giro.transfers t WHERE t.ledger = $1 AND t.id = $2");
        if let Some(row) = by_key(reader, &sql, self.ledger, self.id).await? {
            return transfer(&row).map(TransferState::Applied);
        }
        let sql = "SELECT t.reason FROM giro.rejections t WHERE t.ledger = $1 AND t.id = $2";
        let Some(row) = by_key(reader, sql, self.ledger, self.id).await? else {
            return Ok(TransferState::Undecided);
        };
        let name: &str = row.try_get(0)?;
        Reason::from_name(name)
            .map(TransferState::Rejected)
            .ok_or_else(|| ReadError::Database(format!("unknown reason {name}")))
    }
}

async fn by_key(reader: &Reader, sql: &str, ledger: i32, id: Id) -> Result<Option<Row>, ReadError> {
    let rows = reader.rows(sql, &[Type::INT4, Type::UUID], &[&ledger, &id.0]).await?;
    Ok(rows.into_iter().next())
}
