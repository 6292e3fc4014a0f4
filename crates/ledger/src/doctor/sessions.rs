//! A session as others see it.

use serde::Serialize;
use std::fmt;
use tokio_postgres::{Error, Row};

/// What is read of a session `a` of `pg_stat_activity`. Of other roles' sessions, an ordinary role sees
/// the process, the role and the name only.
pub(super) const COLUMNS: &str = "
       a.pid, a.usename::text, nullif(a.application_name, ''),
       coalesce(host(a.client_addr), CASE WHEN a.client_port = -1 THEN 'local' END),
       a.state, coalesce(a.wait_event_type || ' ' || a.wait_event, a.wait_event_type),
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8,
       to_char(a.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
       left(regexp_replace(nullif(a.query, '<insufficient privilege>'), '[[:cntrl:]\\s]+', ' ', 'g'), 120),
       a.backend_type,
       CASE WHEN a.pid IN (SELECT pid FROM pg_stat_progress_vacuum) THEN 'VACUUM'
            WHEN a.pid IN (SELECT pid FROM pg_stat_progress_create_index) THEN 'CREATE INDEX or REINDEX'
            WHEN a.pid IN (SELECT pid FROM pg_stat_progress_cluster) THEN 'VACUUM FULL or CLUSTER'
            WHEN a.pid IN (SELECT pid FROM pg_stat_progress_analyze) THEN 'ANALYZE' END";
/// How many those are.
pub(super) const COLUMNS_COUNT: usize = 13;
/// Which of them tells the age of the transaction.
pub(super) const TRANSACTION_SECONDS: usize = 6;

/// A session of this program: lanes, readers, and what it does besides serving.
pub(super) const IS_GIRO: &str = "coalesce(a.application_name LIKE 'giro%', false)";

/// A session, as far as the role that looks may see it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionSeen {
    /// Its process; 0 for a prepared transaction, which has none.
    pub pid: i32,
    /// Its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Where its client is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What it waits for, in PostgreSQL's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Age of its transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_seconds: Option<f64>,
    /// Since its last statement began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_seconds: Option<f64>,
    /// Since it does what it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_seconds: Option<f64>,
    /// When its last statement began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_start: Option<String>,
    /// The beginning of its last statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What kind of process it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Which maintenance it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
    /// For whom it waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<i32>,
    /// How long it has waited for a lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_seconds: Option<f64>,
    /// Which lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How far it stands from whom all wait for, in the order of the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
}

impl SessionSeen {
    /// From a row that begins with [`COLUMNS`].
    pub(super) fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            pid: row.try_get::<_, Option<i32>>(0)?.unwrap_or_default(),
            role: row.try_get(1)?,
            application: row.try_get(2)?,
            client: row.try_get(3)?,
            state: row.try_get(4)?,
            wait: row.try_get(5)?,
            transaction_seconds: row.try_get(6)?,
            query_seconds: row.try_get(7)?,
            state_seconds: row.try_get(8)?,
            query_start: row.try_get(9)?,
            query: row.try_get(10)?,
            kind: row.try_get(11)?,
            work: row.try_get(12)?,
            ..Self::default()
        })
    }

    pub(super) fn is_giro(&self) -> bool {
        self.application.as_deref().is_some_and(|name| name.starts_with("giro"))
    }

    /// It has committed, and waits for a standby: to end it would be taken for a commit.
    pub(super) fn waits_for_standby(&self) -> bool {
        self.wait.as_deref().is_some_and(|wait| wait.ends_with("SyncRep"))
    }

    /// This role sees nothing of what it does: it could be a commit that waits for a standby.
    pub(super) fn is_hidden(&self) -> bool {
        self.state.is_none()
    }

    /// The statement that ends what it does, unless it has begun to wait for a standby meanwhile.
    pub(super) fn end(&self) -> String {
        // Maintenance leaves less behind when it is cancelled, and its session may go on.
        let function = if self.work.is_some() { "cancel" } else { "terminate" };
        format!(
            "SELECT pg_{function}_backend(pid) FROM pg_stat_activity \
             WHERE pid = {} AND wait_event IS DISTINCT FROM 'SyncRep';",
            self.pid
        )
    }

    /// Who it is, in a few words.
    pub(super) fn who(&self) -> String {
        let mut who = match self.pid {
            0 => "a prepared transaction".to_owned(),
            pid => format!("pid {pid}"),
        };
        let known = [&self.application, &self.role, &self.client];
        let known: Vec<_> = known.into_iter().flatten().map(String::as_str).collect();
        if !known.is_empty() {
            who = format!("{who} ({})", known.join(", "));
        }
        match (&self.state, self.state_seconds) {
            (Some(state), Some(seconds)) => format!("{who} {state} for {}", span(seconds)),
            _ => who,
        }
    }
}

impl fmt::Display for SessionSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.who())?;
        if let Some(seconds) = self.transaction_seconds {
            write!(f, ", transaction of {}", span(seconds))?;
        }
        if let Some(seconds) = self.waits_seconds {
            write!(f, ", has waited {}", span(seconds))?;
        }
        if let Some(lock) = &self.waits_for {
            write!(f, " for {lock}")?;
        }
        match (&self.query, &self.query_start) {
            (Some(query), Some(start)) if !query.is_empty() => {
                write!(f, ", since {start}: {query}")
            }
            _ => Ok(()),
        }
    }
}

/// A time for people.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        short if short < 60.0 => format!("{short:.1} s"),
        minutes if minutes < 7200.0 => format!("{:.0} min", minutes / 60.0),
        hours if hours < 172_800.0 => format!("{:.0} h", hours / 3600.0),
        days => format!("{:.0} days", days / 86400.0),
    }
}

/// The sessions of rows that begin with [`COLUMNS`].
pub(super) fn read_all(rows: &[Row]) -> Vec<SessionSeen> {
    rows.iter().filter_map(|row| SessionSeen::read(row).ok()).collect()
}
