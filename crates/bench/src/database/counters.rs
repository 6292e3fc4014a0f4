//! The counters of PostgreSQL. Backends add what they did to them about once a second, so each
//! may lag by that.

use std::array;

use crate::database::Database;

/// A figure that PostgreSQL counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Transactions committed in the database.
    Commits,
    /// Bytes of write-ahead log of the cluster: its position, which does not lag.
    WalBytes,
    /// Records of write-ahead log of the cluster.
    WalRecords,
    /// Whole pages in them, the first change of a page after each checkpoint.
    WalFullPageImages,
    /// Calls that made write-ahead log durable.
    WalFsyncs,
    /// Checkpoints of the cluster.
    Checkpoints,
    /// Runs of autovacuum on tables of the ledger.
    Autovacuums,
}

/// The values of all counters at a moment, each perhaps with the reason why it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counters([Result<i64, String>; Counter::ALL.len()]);

impl Counter {
    const ALL: [Self; 7] = [
        Self::Commits,
        Self::WalBytes,
        Self::WalRecords,
        Self::WalFullPageImages,
        Self::WalFsyncs,
        Self::Checkpoints,
        Self::Autovacuums,
    ];

    /// The query for it on a version of PostgreSQL, such as 150018.
    fn query(self, version: i32) -> &'static str {
        match self {
            Self::Commits => {
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            }
            Self::WalBytes => "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8",
            Self::WalRecords => "SELECT wal_records FROM pg_stat_wal",
            Self::WalFullPageImages => "SELECT wal_fpi FROM pg_stat_wal",
            Self::WalFsyncs if version < 18_00_00 => "SELECT wal_sync FROM pg_stat_wal",
            Self::WalFsyncs => "SELECT sum(fsyncs)::int8 FROM pg_stat_io WHERE object = 'wal'",
            Self::Checkpoints if version < 17_00_00 => {
                "SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter"
            }
            Self::Checkpoints if version < 18_00_00 => {
                "SELECT num_timed + num_requested FROM pg_stat_checkpointer"
            }
            Self::Checkpoints => "SELECT num_done FROM pg_stat_checkpointer",
            Self::Autovacuums => {
                "SELECT sum(autovacuum_count)::int8 FROM pg_stat_all_tables \
                  WHERE schemaname = 'giro'"
            }
        }
    }
}

impl Counters {
    /// How many transactions one reading is at most.
    pub(crate) const TRANSACTIONS: i64 = Counter::ALL.len() as i64;

    /// Reads all counters. What cannot be read says why.
    pub(super) async fn read(database: &Database) -> Self {
        let mut counters = array::from_fn(|_| Err(String::new()));
        for counter in Counter::ALL {
            counters[counter as usize] = match database.opens_wal_synced() {
                true if counter == Counter::WalFsyncs => {
                    Err("wal_sync_method writes without separate calls".into())
                }
                _ => database.number(counter.query(database.version())).await,
            };
        }
        Self(counters)
    }

    /// By how much a counter grew from here to a later reading.
    pub(crate) fn growth(&self, counter: Counter, until: &Self) -> Result<i64, String> {
        let (from, until) = (self.0[counter as usize].clone()?, until.0[counter as usize].clone()?);
        if until < from {
            return Err("the statistics were reset meanwhile".into());
        }
        Ok(until - from)
    }

    #[cfg(test)]
    pub(crate) fn all(value: i64) -> Self {
        Self(array::from_fn(|_| Ok(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_has_no_growth() {
        let (from, mut until) = (Counters::all(5), Counters::all(8));
        assert_eq!(from.growth(Counter::WalRecords, &until), Ok(3));
        assert!(until.growth(Counter::WalRecords, &from).expect_err("fell").contains("reset"));
        until.0[Counter::WalFsyncs as usize] = Err("no right".into());
        assert_eq!(from.growth(Counter::WalFsyncs, &until), Err("no right".into()));
    }
}
