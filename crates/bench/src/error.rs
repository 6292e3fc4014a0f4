//! What can end a run without a report.

use std::error::Error;
use std::io;

use tokio::task::JoinError;

/// Why a run gave no report. Each message is complete: it contains its causes, so `source` has
/// none, and it says what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An option cannot be used.
    #[error("{option}: {problem}")]
    Option {
        /// The name of the field in [`Options`](crate::Options).
        option: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },

    /// No connection to the server, after several attempts.
    #[error("cannot connect to {url} after {attempts} attempts: {error}; is the server running?")]
    Unreachable {
        /// The base URL of the server.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt failed with.
        error: io::Error,
    },

    /// The server was connected to but did not answer a request of the preparation or the
    /// read-back, after several attempts.
    #[error("no answer to {request} after {attempts} attempts: {problem}")]
    NoAnswer {
        /// Method and path.
        request: String,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt failed with.
        problem: String,
    },

    /// The server answered a request of the preparation or the read-back with something else
    /// than the contract says, or refused it.
    #[error("unexpected answer to {request}: {status} {body}")]
    UnexpectedAnswer {
        /// Method and path.
        request: String,
        /// The HTTP status code.
        status: u16,
        /// The start of the body.
        body: String,
    },

    /// PostgreSQL could not be connected to, or a query on it failed.
    #[error("PostgreSQL: cannot {doing}: {}", with_causes(error))]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The error of the driver.
        error: tokio_postgres::Error,
    },

    /// PostgreSQL did not answer in time.
    #[error("PostgreSQL: no answer within {seconds} s to: {doing}")]
    DatabaseTimeout {
        /// What was being done.
        doing: &'static str,
        /// How long was waited.
        seconds: u64,
    },

    /// A setting that decides whether commits are durable has no known value, so figures would
    /// say nothing.
    #[error("PostgreSQL reports {name} = {value:?}: cannot tell whether commits are durable")]
    UnknownDurability {
        /// The name of the setting.
        name: &'static str,
        /// The value that was read.
        value: String,
    },

    /// The settings of PostgreSQL were not the same before and after the measured window.
    #[error("the settings of PostgreSQL changed during the run: before {before}; after {after}")]
    SettingsChanged {
        /// The settings before the window.
        before: String,
        /// The settings after the window.
        after: String,
    },

    /// No transfer was applied in the measured window, so there is nothing to report.
    #[error("no transfer was applied in the measured window; {0}")]
    NothingApplied(String),

    /// The balances do not agree with what the server acknowledged.
    #[error(
        "MONEY LOST: the hot accounts were debited {found}, but {acknowledged} was acknowledged as \
         applied (and {unknown} has an unknown outcome); another run with the same seed and \
         ledger at the same time would also explain it"
    )]
    MoneyLost {
        /// Sum of the amounts answered `applied`, warm-up included.
        acknowledged: u128,
        /// Sum of the amounts whose outcome is not known, warm-up included.
        unknown: u128,
        /// By how much `debits_posted` of the hot accounts increased. Negative if it decreased.
        found: i128,
    },

    /// A task of the load generator failed.
    #[error("a task of the load generator failed: {0}")]
    Task(JoinError),
}

impl From<JoinError> for BenchError {
    fn from(error: JoinError) -> Self {
        Self::Task(error)
    }
}

/// The message of an error and of all its causes: some errors say little by themselves.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}
