use crate::Metrics;
use crate::connect::{ConnectError, Connector};
use crate::describe::describe;
use bb8::{Pool, RunError, State};
use session::{Manager, Reader, Sink};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

mod account_list;
mod dry_run;
mod history;
mod load;
mod lookup;
mod page;
mod rows;
mod session;
mod transfer_list;

pub use account_list::ListAccounts;
pub use dry_run::DryRun;
pub use history::{BalanceAt, BalanceRecord, ListBalances, Moment};
pub use load::{Load, ReadLoad};
pub use lookup::{AccountById, TransferById, TransferState};
pub use page::{Order, Page, Span};
pub use transfer_list::{ListTransfers, Side};

/// Reads by SQL, beside the lanes: a read never waits for a batch.
#[derive(Clone)]
pub struct Readers {
    pool: Pool<Manager>,
}

/// Something that can be read, in one snapshot.
pub trait Read: Sync {
    /// What it gives.
    type Output;

    /// Reads it on a session.
    #[doc(hidden)]
    fn run(&self, reader: &Reader) -> impl Future<Output = Result<Self::Output, ReadError>> + Send;
}

/// Why there is no answer to a read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not before the deadline.
    #[error("the deadline passed")]
    Deadline,
    /// No session.
    #[error("{0}")]
    Unavailable(String),
    /// The session ended.
    #[error("the session ended: {0}")]
    Lost(String),
    /// PostgreSQL refused, or its answer cannot be read.
    #[error("{0}")]
    Database(String),
    /// The ledger has no such account.
    #[error("there is no account with this id in the ledger")]
    NoAccount,
    /// The account was created later.
    #[error("the account was created after this moment")]
    NotYet,
    /// The account does not keep its balances after each transfer.
    #[error(
        "the account keeps no history: that is for accounts created with the flag history; its \
         transfers are listed nevertheless"
    )]
    NoHistory,
    /// No index finds metadata; this statement makes one.
    #[error("needs an index that the database does not have; its operator can make it: {0}")]
    NoIndex(&'static str),
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

    /// Reads something before the deadline.
    pub async fn read<R: Read>(&self, read: &R, deadline: Instant) -> Result<R::Output, ReadError> {
        let attempt = async {
            loop {
                let reader = self.pool.get().await.map_err(no_session)?;
                // The pool looks at a session when it comes back, not when it is handed out.
                if !reader.is_usable() {
                    continue;
                }
                reader.begin();
                let output = read.run(&reader).await;
                reader.end();
                match output {
                    // Reads have no effect: one that was cut off is simply made again.
                    Err(ReadError::Lost(_)) => continue,
                    output => return output,
                }
            }
        };
        timeout_at(deadline, attempt).await.unwrap_or(Err(ReadError::Deadline))
    }

    /// Sessions of the pool: open, and of those idle.
    pub fn sessions(&self) -> (u32, u32) {
        let State { connections, idle_connections, .. } = self.pool.state();
        (connections, idle_connections)
    }
}

fn no_session(error: RunError<ConnectError>) -> ReadError {
    ReadError::Unavailable(match error {
        RunError::User(error) => error.to_string(),
        RunError::TimedOut => "no session came free in time".into(),
    })
}

impl From<tokio_postgres::Error> for ReadError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.is_closed() {
            true => Self::Lost(describe(&error)),
            false => Self::Database(describe(&error)),
        }
    }
}
