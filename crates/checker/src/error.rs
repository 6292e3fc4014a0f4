//! Why a run could not be checked.

use std::path::PathBuf;

/// Why a run could not be checked. What is wrong with the run is in the verdict.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file of the run cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A line of a file of the run is not what it should be.
    #[error("{}, line {line}: {error}", path.display())]
    Line {
        /// Of which file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// Why.
        error: serde_json::Error,
    },
    /// PostgreSQL refuses a query.
    #[error("{what}: {}", in_full(error))]
    Postgres {
        /// What was done.
        what: String,
        /// Why not.
        error: tokio_postgres::Error,
    },
    /// A row of the ledger is not of a run: an id, amount or time that no run makes.
    #[error("{0}")]
    Foreign(String),
}

fn in_full(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
