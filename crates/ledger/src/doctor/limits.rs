//! From where on something is said, and where each number comes from.

use std::time::Duration;

/// Of one query: as long as a server gives its own.
const QUERY: Duration = Duration::from_secs(2);
/// As the servers' gauge of the pressure counts a wait (`readers/load.rs`).
const GIRO_WAIT: Duration = Duration::from_millis(250);
/// One default `database.lock_timeout`: a batch that waits for so long is rolled back.
const OTHER_WAIT: Duration = Duration::from_secs(1);
/// One old snapshot took a hot row from 12,500 updates a second to 1,390 in so long.
const OLD: Duration = Duration::from_secs(10);
/// Longer than anything that is in a hurry.
const VERY_OLD: Duration = Duration::from_secs(600);
/// 200 s of 500 batches a second: each takes one transaction id.
const XMIN_AGE: i64 = 100_000;
/// Two and a half times the default `autovacuum_freeze_max_age`: autovacuum is behind.
const XID_AGE: i64 = 500_000_000;
/// Half of what there is. PostgreSQL itself begins to warn when 40 million are left.
const XID_AGE_CRITICAL: i64 = 1_000_000_000;
/// With full pages (`fillfactor` 100) 92.5 % of updates stayed on theirs, with an index on a balance none.
const HOT_SHARE: f64 = 0.9;
const HOT_SHARE_CRITICAL: f64 = 0.5;
/// Fewer updates say little.
const HOT_UPDATES: i64 = 10_000;
/// So many times as many dead rows as autovacuum is to begin at.
const DEAD_TIMES: f64 = 20.0;
/// So many times the size of its rows in half-full pages.
const BLOAT_TIMES: f64 = 4.0;
/// Smaller tables are read from memory anyway.
const BLOAT_BYTES: i64 = 64 << 20;
/// Without statistics, plans are made for a table of ten pages.
const UNANALYZED_ROWS: i64 = 10_000;
/// As the alert GiroDatabaseConnections.
const CONNECTIONS_SHARE: f64 = 0.9;
/// One default `max_wal_size`.
const SLOT_WAL: i64 = 1 << 30;
const SLOT_WAL_CRITICAL: i64 = 16 << 30;
/// What PostgreSQL promises is about `max_wal_size`; twice that is a slot, an archive, or a setting.
const WAL_KEPT_TIMES: f64 = 2.0;
/// Fewer say little.
const CHECKPOINTS: i64 = 10;
/// Twelve default `archive_timeout`s of five minutes.
const ARCHIVE_SILENCE: Duration = Duration::from_secs(3600);
/// More than a network and NTP differ by.
const CLOCK: Duration = Duration::from_secs(1);
/// A hold of a minute is then released at the wrong one, as its caller sees it.
const CLOCK_WARNING: Duration = Duration::from_secs(60);
/// Releases come twice a second.
const OVERDUE: Duration = Duration::from_secs(60);
const SEQUENCE_SHARE: f64 = 0.5;
const SEQUENCE_SHARE_CRITICAL: f64 = 0.9;
/// An account in every second batch is one that two lanes wait for.
const HOT_ACCOUNT_SHARE: f64 = 0.5;
/// Fewer batches say little.
const HOT_ACCOUNT_BATCHES: i64 = 20;

/// From where on something is said. The defaults are for a production database.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of one query.
    pub query: Duration,
    /// A wait of Giro for a lock that somebody else holds.
    pub giro_wait: Duration,
    /// A wait of others for a lock.
    pub other_wait: Duration,
    /// A transaction, idle, prepared or at work, or a lock of somebody else.
    pub old: Duration,
    /// The same, as critical.
    pub very_old: Duration,
    /// Transaction ids that a replica holds back.
    pub xmin_age: i64,
    /// Transaction or multixact ids in use.
    pub xid_age: i64,
    /// The same, as critical.
    pub xid_age_critical: i64,
    /// Updates that stay on their page, of all.
    pub hot_share: f64,
    /// The same, as critical.
    pub hot_share_critical: f64,
    /// Updates from which on that is looked at.
    pub hot_updates: i64,
    /// Dead rows, as a multiple of where autovacuum is to begin.
    pub dead_times: f64,
    /// Size, as a multiple of what the rows need.
    pub bloat_times: f64,
    /// Size from which on that is looked at.
    pub bloat_bytes: i64,
    /// Rows of a table without statistics.
    pub unanalyzed_rows: i64,
    /// Connections in use, of all.
    pub connections_share: f64,
    /// WAL that a slot keeps.
    pub slot_wal: i64,
    /// The same, as critical.
    pub slot_wal_critical: i64,
    /// WAL, as a multiple of `max_wal_size`.
    pub wal_kept_times: f64,
    /// Forced checkpoints from which on they are compared with the others.
    pub checkpoints: i64,
    /// Time without a segment archived while that fails, as critical.
    pub archive_silence: Duration,
    /// Difference of the clocks.
    pub clock: Duration,
    /// The same, as a warning.
    pub clock_warning: Duration,
    /// Time since the deadline of a hold that is still held.
    pub overdue: Duration,
    /// Numbers used, of all.
    pub sequence_share: f64,
    /// The same, as critical.
    pub sequence_share_critical: f64,
    /// Recent batches with an account, of all.
    pub hot_account_share: f64,
    /// Recent batches from which on that is looked at.
    pub hot_account_batches: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query: QUERY,
            giro_wait: GIRO_WAIT,
            other_wait: OTHER_WAIT,
            old: OLD,
            very_old: VERY_OLD,
            xmin_age: XMIN_AGE,
            xid_age: XID_AGE,
            xid_age_critical: XID_AGE_CRITICAL,
            hot_share: HOT_SHARE,
            hot_share_critical: HOT_SHARE_CRITICAL,
            hot_updates: HOT_UPDATES,
            dead_times: DEAD_TIMES,
            bloat_times: BLOAT_TIMES,
            bloat_bytes: BLOAT_BYTES,
            unanalyzed_rows: UNANALYZED_ROWS,
            connections_share: CONNECTIONS_SHARE,
            slot_wal: SLOT_WAL,
            slot_wal_critical: SLOT_WAL_CRITICAL,
            wal_kept_times: WAL_KEPT_TIMES,
            checkpoints: CHECKPOINTS,
            archive_silence: ARCHIVE_SILENCE,
            clock: CLOCK,
            clock_warning: CLOCK_WARNING,
            overdue: OVERDUE,
            sequence_share: SEQUENCE_SHARE,
            sequence_share_critical: SEQUENCE_SHARE_CRITICAL,
            hot_account_share: HOT_ACCOUNT_SHARE,
            hot_account_batches: HOT_ACCOUNT_BATCHES,
        }
    }
}

/// What the servers' configuration asks of a database.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `database.lanes`.
    pub lanes: usize,
    /// `database.read_sessions`.
    pub read_sessions: u32,
    /// How many servers there are; as many as are seen, when it is not said.
    pub servers: Option<u32>,
}

/// Sessions besides lanes and readers: accounts, and expiry.
const OTHER_SESSIONS: i64 = 2;

impl Wanted {
    /// Sessions of one server, at most.
    pub(super) fn sessions(&self) -> i64 {
        self.lanes as i64 + i64::from(self.read_sessions) + OTHER_SESSIONS
    }
}
