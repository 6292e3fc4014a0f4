use crate::connect::{ConnectError, Connector, Session};
use crate::describe::describe;
use crate::metrics::Metrics;
use crate::{
    AccountFlags, AccountRecord, Amount, Balances, Id, Metadata, Reason, Reference, TransferFlags,
    TransferRecord,
};
use bb8::{ErrorSink, ManageConnection, Pool, RunError, State};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::Json;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

/// Reads by SQL, beside the lanes: a read never waits for a batch.
#[derive(Clone)]
pub struct Readers {
    pool: Pool<Manager>,
}

/// Why there is no answer to a read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not before the deadline.
    #[error("the deadline passed")]
    Deadline,
    /// No session, or it broke.
    #[error("{0}")]
    Database(String),
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

struct Manager {
    connector: Connector,
}

/// A session with its statements. Broken unless the last call on it was seen to its end: a call
/// whose future was dropped still runs, and the next one would wait for it.
struct Reader {
    session: Session,
    account: Statement,
    transfer: Statement,
    rejection: Statement,
    busy: AtomicBool,
}

impl Readers {
    /// A pool of at most `size` sessions, opened when they are needed.
    pub fn new(connector: Connector, size: u32, patience: Duration, metrics: Metrics) -> Self {
        let pool = Pool::builder()
            .max_size(size)
            .connection_timeout(patience)
            // One round trip a read: a dead session is noticed by its driver, see has_broken.
            .test_on_check_out(false)
            .error_sink(Box::new(Sink(metrics)))
            .build_unchecked(Manager { connector });
        Self { pool }
    }

    /// The account as it is now.
    pub async fn account(
        &self,
        ledger: i32,
        id: Id,
        deadline: Instant,
    ) -> Result<Option<AccountRecord>, ReadError> {
        let row = self.read(|reader| &reader.account, ledger, id, deadline).await?;
        row.as_ref().map(account).transpose()
    }

    /// What became of a transfer's id.
    pub async fn transfer(
        &self,
        ledger: i32,
        id: Id,
        deadline: Instant,
    ) -> Result<TransferState, ReadError> {
        if let Some(row) = self.read(|reader| &reader.transfer, ledger, id, deadline).await? {
            return transfer(&row).map(TransferState::Applied);
        }
        let Some(row) = self.read(|reader| &reader.rejection, ledger, id, deadline).await? else {
            return Ok(TransferState::Undecided);
        };
        let name: &str = row.try_get(0)?;
        Reason::from_name(name)
            .map(TransferState::Rejected)
            .ok_or_else(|| ReadError::Database(format!("unknown reason {name}")))
    }

    /// Sessions of the pool: open, and of those idle.
    pub fn sessions(&self) -> (u32, u32) {
        let State { connections, idle_connections, .. } = self.pool.state();
        (connections, idle_connections)
    }

    async fn read(
        &self,
        statement: fn(&Reader) -> &Statement,
        ledger: i32,
        id: Id,
        deadline: Instant,
    ) -> Result<Option<Row>, ReadError> {
        let attempt = async {
            loop {
                let reader = self.pool.get().await.map_err(no_session)?;
                // The pool looks at a session when it comes back, not when it is handed out.
                if !reader.session.is_usable() {
                    continue;
                }
                reader.busy.store(true, Ordering::Relaxed);
                let row =
                    reader.session.client.query_opt(statement(&reader), &[&ledger, &id.0]).await;
                reader.busy.store(false, Ordering::Relaxed);
                return match row {
                    // Reads have no effect: one that was cut off is simply made again.
                    Err(error) if error.is_closed() => continue,
                    row => row.map_err(ReadError::from),
                };
            }
        };
        timeout_at(deadline, attempt).await.unwrap_or(Err(ReadError::Deadline))
    }
}

fn no_session(error: RunError<ConnectError>) -> ReadError {
    match error {
        RunError::User(error) => ReadError::Database(error.to_string()),
        RunError::TimedOut => ReadError::Database("no session came free in time".into()),
    }
}

impl ManageConnection for Manager {
    type Connection = Reader;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Reader, ConnectError> {
        let (session, _) = self.connector.open("giro reader").await?;
        let account = session
            .client
            .prepare(
                "SELECT ledger, id, code, flags, overdraft_limit, reference, metadata,
                        debits_pending, debits_posted, credits_pending, credits_posted, version,
                        created_at
                   FROM giro.accounts WHERE ledger = $1 AND id = $2",
            )
            .await?;
        let transfer = session
            .client
            .prepare(
                "SELECT ledger, id, code, flags, debit_account, credit_account, amount, pending_id,
                        timeout, reference, metadata, seq, created_at
                   FROM giro.transfers WHERE ledger = $1 AND id = $2",
            )
            .await?;
        let rejection = session
            .client
            .prepare("SELECT reason FROM giro.rejections WHERE ledger = $1 AND id = $2")
            .await?;
        Ok(Reader { session, account, transfer, rejection, busy: AtomicBool::new(false) })
    }

    async fn is_valid(&self, reader: &mut Reader) -> Result<(), ConnectError> {
        reader.session.client.simple_query("").await?;
        Ok(())
    }

    fn has_broken(&self, reader: &mut Reader) -> bool {
        *reader.busy.get_mut() || !reader.session.is_usable()
    }
}

/// Where bb8 reports why a session could not be opened; callers only see a time-out.
#[derive(Clone)]
struct Sink(Metrics);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

impl ErrorSink<ConnectError> for Sink {
    fn sink(&self, error: ConnectError) {
        self.0.connect_failed(&error);
        tracing::warn!("a session for reads could not be opened: {error}");
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<ConnectError>> {
        Box::new(self.clone())
    }
}

impl From<tokio_postgres::Error> for ReadError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(describe(&error))
    }
}

fn unknown_flag() -> ReadError {
    ReadError::Database("a flag that this version does not know".into())
}

fn account(row: &Row) -> Result<AccountRecord, ReadError> {
    Ok(AccountRecord {
        ledger: row.try_get(0)?,
        id: Id(row.try_get(1)?),
        code: row.try_get(2)?,
        flags: AccountFlags::from_names(row.try_get::<_, Vec<&str>>(3)?)
            .ok_or_else(unknown_flag)?,
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

fn transfer(row: &Row) -> Result<TransferRecord, ReadError> {
    Ok(TransferRecord {
        ledger: row.try_get(0)?,
        id: Id(row.try_get(1)?),
        code: row.try_get(2)?,
        flags: TransferFlags::from_names(row.try_get::<_, Vec<&str>>(3)?)
            .ok_or_else(unknown_flag)?,
        debit_account: Id(row.try_get(4)?),
        credit_account: Id(row.try_get(5)?),
        amount: row.try_get(6)?,
        pending_id: row.try_get::<_, Option<Uuid>>(7)?.map(Id),
        timeout: row.try_get(8)?,
        reference: row.try_get::<_, Option<String>>(9)?.map(Reference::from_stored),
        metadata: metadata(row, 10)?,
        seq: row.try_get(11)?,
        created_at: row.try_get(12)?,
    })
}

fn metadata(row: &Row, column: usize) -> Result<Option<Metadata>, ReadError> {
    let json: Option<Json<Box<RawValue>>> = row.try_get(column)?;
    Ok(json.map(|json| Metadata::from_stored(json.0)))
}
