//! What PostgreSQL says.
//!
//! - `settings`: what decides whether a figure means anything. `counters`: what it counts.

mod counters;
mod settings;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::{BenchError, cpu};

pub(crate) use self::counters::{Counter, Counters};
pub use self::settings::Settings;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

const ABOUT: &str = "SELECT current_setting('server_version_num')::int4, \
    current_setting('wal_sync_method') LIKE 'open%', \
    inet_server_addr() IS NOT DISTINCT FROM inet_client_addr(), pg_backend_pid()";

const ACTIVITY: &str = "SELECT xact_commit, deadlocks FROM pg_stat_database \
    WHERE datname = current_database()";

const LANES: &str = "SELECT pid FROM pg_stat_activity \
    WHERE application_name LIKE 'giro lane%' AND datname = current_database() ORDER BY pid";

/// The state of PostgreSQL at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) settings: Settings,
    /// Transactions committed in the database.
    pub(crate) commits: i64,
    /// Deadlocks in the database.
    pub(crate) deadlocks: i64,
    pub(crate) counters: Counters,
    /// CPU seconds of the lane backends by process id, or why they are not known.
    pub(crate) lane_seconds: Result<BTreeMap<u32, f64>, String>,
    /// CPU seconds of all processes of PostgreSQL, or why they are not known.
    pub(crate) all_seconds: Result<f64, String>,
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
    version: i32,
    opens_wal_synced: bool,
    same_host: bool,
    backend: u32,
}

impl Database {
    pub(crate) async fn connect(url: &str) -> Result<Self, BenchError> {
        let doing = "connect";
        let mut config: Config = url.parse().map_err(failed("read database_url"))?;
        config.application_name("giro bench");
        let (client, connection) = answer(doing, config.connect(NoTls)).await?;
        // Ends with the client; an error also reaches the query under way.
        tokio::spawn(connection);
        let about = answer(doing, client.query_typed_one(ABOUT, &[])).await?;
        Ok(Self {
            client,
            version: column(&about, 0, doing)?,
            opens_wal_synced: column(&about, 1, doing)?,
            same_host: column(&about, 2, doing)?,
            backend: column::<i32>(&about, 3, doing)?.unsigned_abs(),
        })
    }

    /// Its version, such as 150018.
    fn version(&self) -> i32 {
        self.version
    }

    /// Whether write-ahead log is written through files that are synced by each write.
    fn opens_wal_synced(&self) -> bool {
        self.opens_wal_synced
    }

    /// Reads settings, counters and CPU times.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, BenchError> {
        let doing = "read its statistics";
        let lane_seconds = self.lane_seconds().await?;
        let all_seconds = self.on_this_machine().and_then(|()| cpu::postgres_all(self.backend));
        let activity = answer(doing, self.client.query_typed_one(ACTIVITY, &[])).await?;
        let counters = self.counters().await;
        let doing = "read its settings";
        let settings = answer(doing, self.client.query_typed_one(settings::SETTINGS, &[])).await?;
        Ok(Snapshot {
            settings: Settings::from_row(&settings)?,
            commits: column(&activity, 0, doing)?,
            deadlocks: column(&activity, 1, doing)?,
            counters,
            lane_seconds,
            all_seconds,
        })
    }

    /// Reads the counters.
    pub(crate) async fn counters(&self) -> Counters {
        Counters::read(self).await
    }

    /// Reads one number, or says why there is none.
    pub(crate) async fn number(&self, query: &str) -> Result<i64, String> {
        let row = self.try_rows(query).await?.pop();
        let number = row.and_then(|row| row.try_get::<_, Option<i64>>(0).transpose());
        match number {
            Some(number) => number.map_err(|error| error.to_string()),
            None => Err("PostgreSQL does not know it".into()),
        }
    }

    /// Reads rows, or says why there are none. Nothing ends for want of them.
    pub(crate) async fn try_rows(&self, query: &str) -> Result<Vec<Row>, String> {
        let rows = answer("read its statistics", self.client.query_typed(query, &[]));
        rows.await.map_err(|error| error.to_string())
    }

    /// Reads rows that are needed.
    pub(crate) async fn rows(
        &self,
        doing: &'static str,
        query: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, BenchError> {
        answer(doing, self.client.query_typed(query, parameters)).await
    }

    /// Executes a statement without a result.
    pub(crate) async fn execute(
        &self,
        doing: &'static str,
        statement: &str,
    ) -> Result<(), BenchError> {
        answer(doing, self.client.batch_execute(statement)).await
    }

    fn on_this_machine(&self) -> Result<(), String> {
        let elsewhere = || "the database is not on this machine".into();
        self.same_host.then_some(()).ok_or_else(elsewhere)
    }

    async fn lane_seconds(&self) -> Result<Result<BTreeMap<u32, f64>, String>, BenchError> {
        if let Err(reason) = self.on_this_machine() {
            return Ok(Err(reason));
        }
        let doing = "find the server's backends";
        let rows = self.rows(doing, LANES, &[]).await?;
        if rows.is_empty() {
            return Ok(Err("no connection named \"giro lane …\" in the database".into()));
        }
        let pids: Result<Vec<_>, _> =
            rows.iter().map(|row| column::<i32>(row, 0, doing).map(i32::unsigned_abs)).collect();
        Ok(cpu::postgres_seconds(&pids?))
    }
}

/// A column of a row that is needed.
pub(crate) fn column<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r Row,
    index: usize,
    doing: &'static str,
) -> Result<T, BenchError> {
    row.try_get(index).map_err(failed(doing))
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
            counters: Counters::all(0),
            lane_seconds: Ok(lanes.iter().copied().collect()),
            all_seconds: Ok(0.0),
        }
    }

    #[test]
    fn lane_time_needs_the_same_backends_before_and_after() {
        let before = snapshot(&[(10, 1.0), (11, 2.0)]);
        let spent = before.lane_seconds_until(&snapshot(&[(10, 2.5), (11, 2.5)]));
        assert_eq!(spent, Ok(2.0));
        assert!(before.lane_seconds_until(&snapshot(&[(10, 2.5), (12, 0.1)])).is_err());
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
