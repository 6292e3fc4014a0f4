use super::session::Reader;
use super::{Read, ReadError};

/// How the database is, as far as it shows in the sessions that the server's own login may see.
#[derive(Debug, Clone, Copy)]
pub struct ReadLoad;

/// What [`ReadLoad`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Calls of this login that have waited for somebody's lock for a quarter of a second.
    pub lock_waits: i64,
    /// Calls of this login whose commit has waited for a synchronous standby for a second.
    pub standby_waits: i64,
    /// Sessions of all clients.
    pub connections: i64,
    /// Sessions that ordinary clients may open.
    pub connections_max: i64,
    /// The number of the next transaction, but for those that run.
    pub next_transaction: i64,
    /// How many transactions ago the oldest row version was replaced that nobody may clean up yet.
    pub horizon_age: i64,
}

// What holds the horizon back: snapshots and open transactions of this database, prepared ones, and standbys
// by their slots or their senders, which have no database. A vacuum's snapshot holds nobody back.
//
// Of another role's session an ordinary role sees the database and the role, and not the type; what has
// both and is no client is at most a parallel worker.
const SQL: &str = "
SELECT count(*) FILTER (WHERE is_own AND wait_event_type = 'Lock' AND since > '250 ms'),
       count(*) FILTER (WHERE is_own AND wait_event = 'SyncRep' AND since > '1 s'),
       count(*),
       current_setting('max_connections')::bigint
       - current_setting('superuser_reserved_connections')::bigint
       - coalesce(current_setting('reserved_connections', true)::bigint, 0),
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       (SELECT coalesce(max(age(xid)), 0)::bigint
          FROM (SELECT unnest(ARRAY[backend_xmin, backend_xid])
                  FROM pg_stat_activity
                 WHERE pid <> pg_backend_pid() AND (datid IS NULL OR datname = current_database())
                   AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
                 UNION ALL
                SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
                 UNION ALL
                SELECT xmin FROM pg_replication_slots) AS held (xid))
  FROM (SELECT usename = current_user AND application_name LIKE 'giro%' AND state = 'active' AS is_own,
               wait_event_type, wait_event, clock_timestamp() - state_change AS since
          FROM pg_stat_activity
         WHERE datid IS NOT NULL AND usesysid IS NOT NULL
           AND coalesce(backend_type, 'client backend') = 'client backend') AS session";

impl Read for ReadLoad {
    type Output = Load;

    async fn run(&self, reader: &Reader) -> Result<Load, ReadError> {
        let rows = reader.rows(SQL, &[], &[]).await?;
        let [row] = &rows[..] else {
            return Err(ReadError::Database(format!("{} rows instead of one", rows.len())));
        };
        Ok(Load {
            lock_waits: row.try_get(0)?,
            standby_waits: row.try_get(1)?,
            connections: row.try_get(2)?,
            connections_max: row.try_get(3)?,
            next_transaction: row.try_get(4)?,
            horizon_age: row.try_get(5)?,
        })
    }
}
