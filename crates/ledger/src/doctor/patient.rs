//! The database that is looked at: one short read-only transaction a question.

use super::check::Check;
use super::limits::{Limits, Wanted};
use super::quote::quoted;
use super::report::{Finding, NotLooked};
use crate::connect::Session;
use crate::describe::describe;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

/// What a question is asked with: value and type, so that it needs no prepared statement, which a
/// pooler may lose.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Rather than to let the servers' own role see all.
const SEES_ALL: &str = "look with a role that is a member of pg_monitor";

/// What everything else depends on.
pub(super) struct About {
    pub(super) looked_at: String,
    pub(super) database: String,
    pub(super) role: String,
    pub(super) postgres: String,
    /// `server_version_num`.
    pub(super) version: i32,
    pub(super) in_recovery: bool,
    /// It may see what other roles do.
    pub(super) sees_sessions: bool,
    /// There is a schema `giro`.
    pub(super) has_schema: bool,
    /// It may use it, and read the tables.
    pub(super) reads_tables: bool,
}

const ABOUT: &str = "
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
       current_database()::text, current_user::text,
       current_setting('server_version'), current_setting('server_version_num')::int,
       pg_is_in_recovery(),
       pg_has_role('pg_read_all_stats', 'USAGE'),
       to_regnamespace('giro') IS NOT NULL,
       coalesce((SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = 'giro' AND c.relname = 'account_state'), false)";

/// A database, how it is looked at, and what was found so far.
pub(super) struct Patient<'a> {
    session: &'a Session,
    pub(super) limits: &'a Limits,
    pub(super) wanted: &'a Wanted,
    pub(super) about: About,
    pub(super) findings: Vec<Finding>,
    pub(super) not_looked_at: Vec<NotLooked>,
    /// Sessions not to be ended: commits that wait for a standby, and who waits for them.
    pub(super) spared: BTreeSet<i32>,
    /// It does not answer any more, or the session is lost.
    pub(super) lost: Option<String>,
}

impl<'a> Patient<'a> {
    pub(super) async fn meet(
        session: &'a Session,
        limits: &'a Limits,
        wanted: &'a Wanted,
    ) -> Result<Self, Unanswered> {
        let rows = answered(session, limits.query, ABOUT, &[]).await?;
        let row = rows.first().ok_or(Unanswered::Silent(limits.query))?;
        let about = About {
            looked_at: row.get(0),
            database: row.get(1),
            role: row.get(2),
            postgres: row.get(3),
            version: row.get(4),
            in_recovery: row.get(5),
            sees_sessions: row.get(6),
            has_schema: row.get(7),
            reads_tables: row.get(8),
        };
        let (findings, not_looked_at, spared) = Default::default();
        Ok(Self { session, limits, wanted, about, findings, not_looked_at, spared, lost: None })
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Asks what some checks need. Without an answer, they are noted as not looked at.
    pub(super) async fn ask(&mut self, checks: &[Check], sql: &str) -> Option<Vec<Row>> {
        self.ask_with(checks, sql, &[]).await
    }

    /// The same with parameters.
    pub(super) async fn ask_with(
        &mut self,
        checks: &[Check],
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Option<Vec<Row>> {
        if let Some(lost) = self.lost.clone() {
            self.skip(checks, lost, None);
            return None;
        }
        let answer = answered(self.session, self.limits.query, sql, parameters).await;
        let error = match answer {
            Ok(rows) => return Some(rows),
            Err(error) => error,
        };
        let (mut because, help) = (error.to_string(), self.help(&error));
        if error.is_final() || self.session.client.is_closed() {
            self.lost = Some(because.clone());
        }
        if help.is_some() {
            because = format!("{because}: {SEES_ALL}");
        }
        self.skip(checks, because, help);
        None
    }

    /// Notes that something was not seen; at most once a check.
    pub(super) fn skip(
        &mut self,
        checks: &[Check],
        because: impl Into<String>,
        sql: Option<String>,
    ) {
        let because = because.into();
        for &id in checks {
            if !self.not_looked_at.iter().any(|known| known.id == id) {
                let (because, sql) = (because.clone(), sql.clone());
                self.not_looked_at.push(NotLooked { id, because, sql });
            }
        }
    }

    /// Notes that only sessions of its own role were seen.
    pub(super) fn skip_other_sessions(&mut self, checks: &[Check]) {
        if !self.about.sees_sessions {
            let role = &self.about.role;
            let because = format!("{role} does not see what other roles do: {SEES_ALL}");
            let grant = self.grant("pg_read_all_stats");
            self.skip(checks, because, Some(grant));
        }
    }

    pub(super) fn grant(&self, right: &str) -> String {
        format!("GRANT {right} TO {};", quoted(&self.about.role))
    }

    fn help(&self, error: &Unanswered) -> Option<String> {
        let Unanswered::Postgres(error) = error else { return None };
        let refused = error.code().is_some_and(|code| code.code() == "42501");
        refused.then(|| self.grant("pg_monitor"))
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("{}", describe(.0))]
    Postgres(#[from] Error),
    #[error("the database does not answer within {0:?}")]
    Silent(Duration),
}

impl Unanswered {
    /// PostgreSQL hangs, or ends the session.
    fn is_final(&self) -> bool {
        let Self::Postgres(error) = self else { return true };
        let severity = error.as_db_error().and_then(|word| word.parsed_severity());
        error.is_closed() || matches!(severity, Some(Severity::Fatal | Severity::Panic))
    }
}

/// Asks in a transaction of its own, so that nothing is changed, no snapshot is held for long, nobody is
/// waited for, and, as with a server's functions, no other schema is searched.
pub(super) async fn answered(
    session: &Session,
    time: Duration,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, Unanswered> {
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = {0}; SET LOCAL lock_timeout = {1};
         SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off",
        time.as_millis().max(1),
        (time / 2).as_millis().max(1),
    );
    let ask = async {
        session.client.batch_execute(&begin).await?;
        let answer = session.client.query_typed(sql, parameters).await;
        session.client.batch_execute("ROLLBACK").await?;
        answer
    };
    // PostgreSQL ends it itself, unless it hangs.
    let patience = 2 * time + Duration::from_secs(1);
    Ok(timeout(patience, ask).await.map_err(|_| Unanswered::Silent(patience))??)
}
