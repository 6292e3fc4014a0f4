//! What PostgreSQL did in the measured window.

use serde::Serialize;

use crate::cpu::Measured;
use crate::database::Counter;
use crate::window::Window;

/// What PostgreSQL did in the measured window. Counters may lag by a second at both ends of it.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseWork {
    /// Transactions committed in the database, by whomever but the sampler of this program.
    pub commits: i64,
    /// Applied transfers for each commit.
    pub transfers_per_commit: Option<f64>,
    /// Commits for each applied transfer.
    pub commits_per_transfer: f64,
    /// Bytes of write-ahead log of the whole cluster, by its position, which does not lag.
    pub cluster_wal_bytes: Option<i64>,
    /// The same for each applied transfer.
    pub cluster_wal_bytes_per_transfer: Option<f64>,
    /// Records of write-ahead log of the whole cluster, for each applied transfer.
    pub wal_records_per_transfer: Measured,
    /// Whole pages in them, for each applied transfer: many after a checkpoint, few later.
    pub wal_full_page_images_per_transfer: Measured,
    /// Calls that made write-ahead log durable, of the whole cluster.
    pub wal_fsyncs: Measured,
    /// The same for each applied transfer.
    pub wal_fsyncs_per_transfer: Measured,
    /// Checkpoints of the cluster.
    pub checkpoints: Measured,
    /// Runs of autovacuum on the ledger's tables that ended in the window.
    pub autovacuum_runs: Measured,
    /// Sessions of the database that waited for a lock: the mean of five looks a second.
    pub sampled_sessions_waiting_for_locks: Measured,
    /// The same times the length of the window for each applied transfer, in milliseconds: an
    /// estimate of how long sessions waited for locks, because PostgreSQL does not count it.
    pub sampled_lock_wait_ms_per_transfer: Measured,
    /// Deadlocks in the database.
    pub deadlocks: i64,
}

impl DatabaseWork {
    pub(super) fn new(window: &Window, applied: f64) -> Self {
        let (before, after) = (&window.before.database, &window.after.database);
        let commits = (after.commits - before.commits - window.sampled.transactions).max(0);
        let growth = |counter| before.counters.growth(counter, &after.counters);
        let each = |counter| growth(counter).map(|count| count as f64 / applied).into();
        let waiting = window.sampled.waits.mean();
        let milliseconds = window.length.as_secs_f64() * 1000.0;
        let wal_bytes = growth(Counter::WalBytes).ok();
        Self {
            commits,
            transfers_per_commit: (commits > 0).then(|| applied / commits as f64),
            commits_per_transfer: commits as f64 / applied,
            cluster_wal_bytes: wal_bytes,
            cluster_wal_bytes_per_transfer: wal_bytes.map(|bytes| bytes as f64 / applied),
            wal_records_per_transfer: each(Counter::WalRecords),
            wal_full_page_images_per_transfer: each(Counter::WalFullPageImages),
            wal_fsyncs: growth(Counter::WalFsyncs).into(),
            wal_fsyncs_per_transfer: each(Counter::WalFsyncs),
            checkpoints: growth(Counter::Checkpoints).into(),
            autovacuum_runs: growth(Counter::Autovacuums).into(),
            sampled_lock_wait_ms_per_transfer: waiting
                .clone()
                .map(|sessions| sessions * milliseconds / applied)
                .into(),
            sampled_sessions_waiting_for_locks: waiting.into(),
            deadlocks: after.deadlocks - before.deadlocks,
        }
    }
}
