use super::report::Severity::{self, Critical, Notice, Warning};
use serde::{Serialize, Serializer};

/// What is looked for: name, how bad it can be, and what it means that it is found.
macro_rules! checks {
    ($($variant:ident $name:literal [$($severity:ident),+] $meaning:literal;)+) => {
        /// Something that hurts a ledger, or will.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $(#[doc = $meaning] $variant,)+
        }

        impl Check {
            /// Every check, in the order of the report: first what hurts now.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name, which does not change from version to version.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// How bad a finding can be, the worst first.
            pub fn severities(self) -> &'static [Severity] {
                match self { $(Self::$variant => &[$($severity),+]),+ }
            }

            /// What is the case when it finds something, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

checks! {
    Blocking "blocking" [Critical, Warning] "A session holds a lock for which others wait.";
    CommitsWait "commits_wait" [Critical] "Commits wait for a synchronous standby.";
    GiroHangs "giro_hangs" [Critical] "A call of Giro runs for longer than its time-out allows.";
    StandbyAbsent "standby_absent" [Critical] "synchronous_standby_names asks for more standbys than follow: no commit ends.";
    NotPrimary "not_primary" [Critical, Notice] "The database is a standby, or read only.";
    SchemaDiffers "schema_differs" [Critical] "The schema is not the one of this program, or is not there.";
    GrantMissing "grant_missing" [Critical] "The role of the servers lacks a right that migration has granted.";
    Pooler "pooler" [Critical] "A pooler is between: settings or the session itself do not last.";
    Connections "connections" [Critical, Warning] "The connections of PostgreSQL are, or will be, used up.";
    LockHeld "lock_held" [Critical, Warning] "A session that is not Giro's holds locks on the tables of the ledger.";
    IdleInTransaction "idle_in_transaction" [Critical, Warning] "A session does nothing in an open transaction.";
    OldSnapshot "old_snapshot" [Critical, Warning] "A transaction is so old that rows are not cleaned up behind it.";
    PreparedTransaction "prepared_transaction" [Critical, Warning] "A prepared transaction has neither been committed nor rolled back.";
    FsyncOff "fsync_off" [Critical] "fsync is off: a crash of the machine loses or corrupts everything.";
    FullPageWritesOff "full_page_writes_off" [Critical] "full_page_writes is off: a crash of the machine may corrupt pages.";
    SynchronousCommitOff "synchronous_commit_off" [Critical] "synchronous_commit is off: a crash loses what was acknowledged.";
    DataSyncRetryOn "data_sync_retry_on" [Critical] "data_sync_retry is on: a failed write to disk may go unnoticed.";
    ChecksumFailures "checksum_failures" [Critical] "PostgreSQL has read pages that are corrupt.";
    StandbyNotAwaited "standby_not_awaited" [Warning] "A synchronous standby is named, and commits do not wait for it.";
    AppendOnlyOff "append_only_off" [Critical] "A trigger that keeps history append-only is gone or disabled.";
    IndexMissing "index_missing" [Critical] "An index of the schema is gone, invalid, or another one of its name.";
    IndexExtra "index_extra" [Critical, Notice] "There is an index on the ledger's tables that is not Giro's.";
    TriggerExtra "trigger_extra" [Warning] "There is a trigger or rule on the ledger's tables that is not Giro's.";
    ConstraintExtra "constraint_extra" [Warning] "There is a constraint on the ledger's tables that is not Giro's.";
    TableSettings "table_settings" [Warning] "The settings of a table are not those of the migrations.";
    AutovacuumOff "autovacuum_off" [Critical] "Nothing is cleaned up: autovacuum is off, for all or for a table.";
    HotShare "hot_share" [Critical, Warning] "Updates of balances leave their page.";
    DeadRows "dead_rows" [Warning] "Dead rows pile up in a table that every batch rewrites.";
    Bloat "bloat" [Warning] "A table that every batch rewrites is far larger than its rows.";
    NeverAnalyzed "never_analyzed" [Warning] "A table has grown without having been analyzed.";
    XidAge "xid_age" [Critical, Warning] "Transaction ids are used up faster than tables are frozen.";
    MultixactAge "multixact_age" [Critical, Warning] "Multixact ids are used up faster than tables are frozen.";
    SequenceUsed "sequence_used" [Critical, Warning] "The numbers for batches run out.";
    ReplicationSlot "replication_slot" [Critical, Warning] "A replication slot keeps WAL.";
    ReplicaHoldsXmin "replica_holds_xmin" [Warning] "A standby or its slot keeps rows from being cleaned up.";
    ArchiveFails "archive_fails" [Critical, Warning] "WAL cannot be archived, and is kept.";
    WalKept "wal_kept" [Warning] "Far more WAL is kept than max_wal_size says.";
    WalLevelMinimal "wal_level_minimal" [Warning] "wal_level is minimal: no standby and no continuous backup is possible.";
    CheckpointsForced "checkpoints_forced" [Warning] "Most checkpoints are forced by the amount of WAL.";
    SessionTimeouts "session_timeouts" [Warning, Notice] "A time-out of the database or of the servers' role contradicts the servers'.";
    TransactionsUnbounded "transactions_unbounded" [Notice] "Nothing ends a transaction that somebody leaves open.";
    NotUtf8 "not_utf8" [Critical] "The encoding of the database is not UTF8.";
    RolePrivileged "role_privileged" [Warning, Notice] "A role may do more than a server needs.";
    GrantExtra "grant_extra" [Warning] "A role other than the owner may write to the tables of the ledger.";
    Plaintext "plaintext" [Warning] "A session with another machine is not encrypted.";
    ClockDiffers "clock_differs" [Warning, Notice] "The clock here and that of the database differ.";
    AddressDiffers "address_differs" [Notice] "PostgreSQL listens on another port than the URL says.";
    HoldsOverdue "holds_overdue" [Warning] "Holds are not released at their deadline.";
    Deadlocks "deadlocks" [Notice] "Sessions have waited for each other in a circle.";
    HotAccount "hot_account" [Notice] "An account is in most batches.";
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
