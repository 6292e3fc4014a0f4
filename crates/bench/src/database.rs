//! What PostgreSQL says: its settings, its counters, and which backends serve the server's lanes.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::{BenchError, cpu};

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const SETTINGS: &str = "SELECT current_setting('server_version'), current_setting('fsync'), \
    current_setting('synchronous_commit'), current_setting('full_page_writes'), \
    current_setting('wal_compression'), current_setting('shared_buffers')";

const COUNTERS: &str = "SELECT xact_commit, deadlocks FROM pg_stat_database \
    WHERE datname = current_database()";

const WAL: &str = "SELECT wal_bytes::int8 FROM pg_stat_wal";

const SAME_HOST: &str = "SELECT inet_server_addr() IS NOT DISTINCT FROM inet_client_addr()";

const LANES: &str = "SELECT pid FROM pg_stat_activity \
    WHERE application_name LIKE 'giro lane%' AND datname = current_database() ORDER BY pid";

/// The settings of PostgreSQL that a figure means nothing without, as a session opened with the
/// run's connection string sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// `server_version`.
    pub server_version: String,
    /// `fsync`.
    pub fsync: String,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// `full_page_writes`.
    pub full_page_writes: String,
    /// `wal_compression`.
    pub wal_compression: String,
    /// `shared_buffers`.
    pub shared_buffers: String,
}

impl Settings {
    /// The settings that are off although an acknowledged transfer could then be lost in a crash.
    #[must_use]
    pub fn not_durable(&self) -> Vec<&'static str> {
        let guards = self.guards().into_iter();
        guards.filter(|(_, value)| *value == "off").map(|(name, _)| name).collect()
    }

    fn guards(&self) -> [(&'static str, &str); 3] {
        [
            ("fsync", &self.fsync),
            ("synchronous_commit", &self.synchronous_commit),
            ("full_page_writes", &self.full_page_writes),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, BenchError> {
        let text = |column| row.try_get(column).map_err(failed("read its settings"));
        let settings = Self {
            server_version: text(0)?,
            fsync: text(1)?,
            synchronous_commit: text(2)?,
            full_page_writes: text(3)?,
            wal_compression: text(4)?,
            shared_buffers: text(5)?,
        };
        for (name, value) in settings.guards() {
            if !["on", "off", "local", "remote_write", "remote_apply"].contains(&value) {
                return Err(BenchError::UnknownDurability { name, value: value.to_owned() });
            }
        }
        Ok(settings)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fsync={} synchronous_commit={} full_page_writes={} wal_compression={} \
             shared_buffers={}",
            self.fsync,
            self.synchronous_commit,
            self.full_page_writes,
            self.wal_compression,
            self.shared_buffers
        )
    }
}

/// The state of PostgreSQL at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) settings: Settings,
    /// Transactions committed in the database.
    pub(crate) commits: i64,
    /// Deadlocks in the database.
    pub(crate) deadlocks: i64,
    /// Bytes of write-ahead log of the whole cluster. Nothing before PostgreSQL 14.
    pub(crate) wal_bytes: Option<i64>,
    /// CPU seconds of the lane backends by process id, or why they are not known.
    pub(crate) lane_seconds: Result<BTreeMap<u32, f64>, String>,
}

impl Snapshot {
    /// CPU seconds of the lane backends between two moments.
    pub(crate) fn lane_seconds_until(&self, after: &Self) -> Result<f64, String> {
        let (before, after) = (self.lane_seconds.clone()?, after.lane_seconds.clone()?);
        if !before.keys().eq(after.keys()) {
            return Err("the server's lane connections changed during the window".into());
        }
        Ok(after.values().sum::<f64>() - before.values().sum::<f64>())
    }
}

/// A connection to PostgreSQL.
pub(crate) struct Database {
    client: Client,
}

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self, BenchError> {
        let doing = "connect";
        let mut config: Config = url.parse().map_err(failed("read database_url"))?;
        config.application_name("giro bench");
        let (client, connection) = answer(doing, config.connect(NoTls)).await?;
        // Ends with the client; an error also reaches the query under way.
        tokio::spawn(connection);
        Ok(Self { client })
    }

    /// Reads settings, counters and CPU times.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, BenchError> {
        let doing = "read its statistics";
        let lane_seconds = self.lane_seconds().await?;
        let counters = answer(doing, self.client.query_one(COUNTERS, &[])).await?;
        let wal_bytes = match answer(doing, self.client.query_one_scalar(WAL, &[])).await {
            Err(BenchError::Database { error, .. })
                if error.code() == Some(&SqlState::UNDEFINED_TABLE) =>
            {
                None
            }
            bytes => Some(bytes?),
        };
        let settings = answer("read its settings", self.client.query_one(SETTINGS, &[])).await?;
        Ok(Snapshot {
            settings: Settings::from_row(&settings)?,
            commits: counters.try_get(0).map_err(failed(doing))?,
            deadlocks: counters.try_get(1).map_err(failed(doing))?,
            wal_bytes,
            lane_seconds,
        })
    }

    async fn lane_seconds(&self) -> Result<Result<BTreeMap<u32, f64>, String>, BenchError> {
        let doing = "find the server's backends";
        if !answer(doing, self.client.query_one_scalar(SAME_HOST, &[])).await? {
            return Ok(Err("the database is not on this machine".into()));
        }
        let pids: Vec<i32> = answer(doing, self.client.query_scalar(LANES, &[])).await?;
        if pids.is_empty() {
            return Ok(Err("no connection named \"giro lane …\" in the database".into()));
        }
        let pids: Vec<u32> = pids.into_iter().map(i32::unsigned_abs).collect();
        Ok(cpu::postgres_seconds(&pids))
    }
}

/// Waits for PostgreSQL, but not for ever.
async fn answer<T>(
    doing: &'static str,
    query: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, BenchError> {
    match timeout(ANSWER_WITHIN, query).await {
        Ok(result) => result.map_err(failed(doing)),
        Err(_) => Err(BenchError::DatabaseTimeout { doing, seconds: ANSWER_WITHIN.as_secs() }),
    }
}

fn failed(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> BenchError {
    move |error| BenchError::Database { doing, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(lanes: &[(u32, f64)]) -> Snapshot {
        Snapshot {
            settings: crate::report::tests::settings(),
            commits: 0,
            deadlocks: 0,
            wal_bytes: None,
            lane_seconds: Ok(lanes.iter().copied().collect()),
        }
    }

    #[test]
    fn lane_time_needs_the_same_backends_before_and_after() {
        let before = snapshot(&[(10, 1.0), (11, 2.0)]);
        let spent = before.lane_seconds_until(&snapshot(&[(10, 2.5), (11, 2.5)]));
        assert_eq!(spent, Ok(2.0));
        assert!(before.lane_seconds_until(&snapshot(&[(10, 2.5), (12, 0.1)])).is_err());
    }

    #[test]
    fn durability_is_lost_when_one_setting_is_off() {
        let mut settings = crate::report::tests::settings();
        assert!(settings.not_durable().is_empty());
        settings.synchronous_commit = "off".into();
        assert_eq!(settings.not_durable(), ["synchronous_commit"]);
    }

    #[tokio::test]
    async fn an_error_says_its_cause() {
        let error = Database::connect("port=none").await.err().expect("refused");
        assert_eq!(
            error.to_string(),
            "PostgreSQL: cannot read database_url: invalid connection string: \
             invalid value for option `port`"
        );
    }
}
