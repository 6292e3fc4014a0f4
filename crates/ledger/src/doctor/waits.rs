//! Calls of Giro that do not end.

use super::check::Check;
use super::patient::Patient;
use super::report::{Finding, Severity};
use super::sessions::{COLUMNS, IS_GIRO, SessionSeen, read_all, span};
use std::time::Duration;
use tokio_postgres::types::Type;

/// After the statement's own time-out: for its commit and the network, as the watchdog has it.
const GRACE: Duration = Duration::from_secs(1);

fn sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM pg_stat_activity a
          WHERE {IS_GIRO} AND a.datname = current_database() AND a.pid <> pg_backend_pid()
            AND a.state = 'active' AND a.application_name NOT IN
                ('giro verify', 'giro migrate', 'giro bench', 'giro doctor')
            AND clock_timestamp() - a.state_change
                >= CASE WHEN a.wait_event = 'SyncRep' THEN $1 ELSE $2 END * interval '1 s'
          ORDER BY a.state_change LIMIT 100"
    )
}

pub(super) async fn look(patient: &mut Patient<'_>, statement_timeout: Duration) {
    let (commit, call) = (GRACE.as_secs_f64(), (statement_timeout + GRACE).as_secs_f64());
    let checks = [Check::CommitsWait, Check::GiroHangs];
    let parameters = [(&commit as _, Type::FLOAT8), (&call as _, Type::FLOAT8)];
    let Some(rows) = patient.ask_with(&checks, &sql(), &parameters).await else { return };
    let sessions = read_all(&rows);
    let (commits, calls): (Vec<_>, Vec<_>) =
        sessions.into_iter().partition(SessionSeen::waits_for_standby);
    if let Some(first) = commits.first() {
        let evidence = format!(
            "{} commit(s) wait for a standby, the longest for {}",
            commits.len(),
            span(first.state_seconds.unwrap_or_default()),
        );
        patient.add(
            Finding::new(Check::CommitsWait, Severity::Critical, evidence)
                .remedy(
                    "Bring the standby back, or decide to go on without it: what is applied from then on \
                     may be lost with the primary. Never cancel or terminate the sessions that wait: they \
                     have committed here, and would answer as if the standby had it.",
                )
                .sql(
                    "SELECT application_name, state, sync_state, flush_lag FROM pg_stat_replication;\n\
                     -- Only to go on without: ALTER SYSTEM SET synchronous_standby_names = ''; \
                     SELECT pg_reload_conf();",
                )
                .sessions(commits),
        );
    }
    if let Some(first) = calls.first() {
        let evidence = format!(
            "{} call(s) run for longer than statement_timeout and {} allow, the longest for {}, at {}",
            calls.len(),
            span(GRACE.as_secs_f64()),
            span(first.state_seconds.unwrap_or_default()),
            first.wait.as_deref().unwrap_or("work"),
        );
        patient.add(
            Finding::new(Check::GiroHangs, Severity::Critical, evidence)
                .remedy(
                    "PostgreSQL, its disk or its machine stands still: look at the machine for I/O that is \
                     stuck. If it does not come back, fail over, and see that the old one is dead first.",
                )
                .sessions(calls),
        );
    }
    patient.skip_other_sessions(&checks);
}
