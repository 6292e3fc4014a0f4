//! What can end a run without a report.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use tokio::task::JoinError;
use uuid::Uuid;

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

    /// An account that the server created is not in the database.
    #[error("account {id} is not in the database: is --database-url that of the server?")]
    AccountMissing {
        /// The account.
        id: Uuid,
    },

    /// The balances do not agree with what the server acknowledged.
    #[error(
        "MONEY LOST: {first} ({wrong} balances disagree); another run with the same seed and \
         ledger at the same time would also explain it"
    )]
    MoneyLost {
        /// Balances that do not agree.
        wrong: u64,
        /// The first of them.
        first: String,
    },

    /// A read of an account, or of a transfer that was acknowledged, was not answered with it.
    #[error("LOST: {wrong} reads did not find what was acknowledged; the first: {first}")]
    ReadLost {
        /// How many they were.
        wrong: u64,
        /// Path, status and body of the first.
        first: String,
    },

    /// A file of the run could not be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },

    /// The thread that keeps the time of an open loop could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),

    /// A task of the load generator failed.
    #[error("a task of the load generator failed: {0}")]
    Task(JoinError),
}

impl BenchError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.to_owned(), error }
    }
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
