//! What is seen of PostgreSQL every second, and the file for it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::BenchError;
use crate::cpu::Measured;

/// The state of PostgreSQL at a moment of the measured window. What counts from the start of the
/// window may lag by a second, except `wal_bytes`.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Since the start of the window.
    pub seconds: f64,
    /// Transfers applied since then.
    pub transfers_applied: u64,
    /// Arrivals of an open loop that were due and not yet sent.
    pub backlog: Option<usize>,
    /// Transactions committed in the database since the start, without those of the sampler.
    pub commits: Measured,
    /// Bytes of write-ahead log of the cluster since the start.
    pub wal_bytes: Measured,
    /// Records of write-ahead log since the start.
    pub wal_records: Measured,
    /// Whole pages in them since the start.
    pub wal_full_page_images: Measured,
    /// Calls that made write-ahead log durable, since the start.
    pub wal_fsyncs: Measured,
    /// Checkpoints since the start.
    pub checkpoints: Measured,
    /// Runs of autovacuum on the ledger's tables that have ended since the start.
    pub autovacuum_runs: Measured,
    /// Sessions of the database that waited for a lock: the mean of five looks.
    pub sessions_waiting_for_locks: Measured,
    /// Vacuums of the database at work, or why they cannot be seen.
    pub vacuums: Measured<Vec<Vacuum>>,
    /// `n_dead_tup` of `giro.account_state`, an estimate of PostgreSQL.
    pub dead_account_rows: Measured,
    /// Bytes of `giro.decisions` with its indexes.
    pub decisions_bytes: Measured,
}

/// A vacuum at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vacuum {
    /// The table.
    pub table: String,
    /// What it is doing, in PostgreSQL's words.
    pub phase: String,
    /// Blocks of the table that it has looked at.
    pub heap_blocks_scanned: i64,
    /// Blocks of the table.
    pub heap_blocks_total: i64,
}

/// A file with a sample a line.
pub(crate) struct SampleFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl SampleFile {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, BenchError> {
        let file = BufWriter::new(File::create(path).map_err(BenchError::file(path))?);
        Ok(Self { path: path.to_owned(), file })
    }

    pub(crate) fn write(&mut self, sample: &Sample) -> Result<(), BenchError> {
        let line = serde_json::to_string(sample).expect("a sample has only text keys");
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.map_err(BenchError::file(&self.path))
    }
}
