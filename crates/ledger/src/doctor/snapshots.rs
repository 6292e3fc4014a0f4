//! Transactions that stay open: what they lock stays locked, and behind them nothing is cleaned up.

use super::check::Check;
use super::patient::Patient;
use super::quote::{literal, quoted};
use super::report::{Finding, Severity};
use super::sessions::{COLUMNS, COLUMNS_COUNT, SessionSeen, span};
use std::time::Duration;
use tokio_postgres::types::Type;

/// Without vacuums: they hold nobody back, and are what cleans up.
fn sessions_sql() -> String {
    format!(
        "SELECT {COLUMNS}, a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL,
                greatest(age(a.backend_xmin), age(a.backend_xid))
           FROM pg_stat_activity a
          WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
            AND coalesce(a.backend_type, '') <> 'autovacuum worker'
            AND a.pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum WHERE pid IS NOT NULL)
            AND clock_timestamp() - a.xact_start >= $1 * interval '1 s'
          ORDER BY a.xact_start LIMIT 50"
    )
}

const PREPARED: &str = "
SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::float8, age(transaction)
  FROM pg_prepared_xacts
 WHERE database = current_database() AND clock_timestamp() - prepared >= $1 * interval '1 s'
 ORDER BY prepared LIMIT 50";

pub(super) async fn look(patient: &mut Patient<'_>) {
    let old = patient.limits.old.as_secs_f64();
    let parameters = [(&old as _, Type::FLOAT8)];
    let checks = [Check::IdleInTransaction, Check::OldSnapshot];
    let rows = patient.ask_with(&checks, &sessions_sql(), &parameters).await;
    for row in rows.unwrap_or_default() {
        let Ok(session) = SessionSeen::read(&row) else { continue };
        let (holds_back, xids): (bool, Option<i32>) =
            (row.get(COLUMNS_COUNT), row.get(COLUMNS_COUNT + 1));
        let follows = session.kind.as_deref() == Some("walsender");
        let follows = follows.then(|| "a standby, a subscriber or a backup".to_owned());
        let finding = match session.work.clone().or(follows) {
            Some(work) if holds_back => Some(maintenance(session, &work)),
            _ => open_transaction(session, holds_back, xids, patient),
        };
        patient.findings.extend(finding);
    }
    patient.skip_other_sessions(&checks);
    let checks = [Check::PreparedTransaction];
    let rows = patient.ask_with(&checks, PREPARED, &parameters).await;
    for row in rows.unwrap_or_default() {
        let (gid, owner, seconds, xids): (String, String, f64, i32) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let severity = severity(seconds, patient.limits.very_old);
        let evidence = format!(
            "{gid} of {owner}, prepared {} ago, {xids} transaction ids old: it keeps its locks, and dead \
             rows, also after a restart",
            span(seconds)
        );
        let finding = Finding::new(Check::PreparedTransaction, severity, evidence)
            .remedy("Ask whose it is: its coordinator knows whether to COMMIT PREPARED. If that is gone, roll it back.")
            .sql(format!(
                "-- Only if its coordinator is gone for good:\nROLLBACK PREPARED {};",
                literal(&gid)
            ));
        patient.add(finding);
    }
}

fn severity(seconds: f64, very_old: Duration) -> Severity {
    if seconds >= very_old.as_secs_f64() { Severity::Critical } else { Severity::Warning }
}

/// Work that somebody wants, and that ends: to end it halfway only means to begin again.
fn maintenance(session: SessionSeen, work: &str) -> Finding {
    let seconds = session.transaction_seconds.unwrap_or_default();
    let evidence = format!("{} is {work}, for {}", session.who(), span(seconds));
    Finding::new(Check::OldSnapshot, Severity::Warning, evidence)
        .remedy(
            "Nothing is cleaned up behind it, but it ends by itself: let it, and have such work done when \
             there is little else. An index that was given up halfway stays behind as invalid.",
        )
        .sessions(vec![session])
}

fn open_transaction(
    session: SessionSeen,
    holds_back: bool,
    xids: Option<i32>,
    patient: &Patient<'_>,
) -> Option<Finding> {
    let seconds = session.transaction_seconds.unwrap_or_default();
    let severity = severity(seconds, patient.limits.very_old);
    let idle =
        session.state.as_deref().is_some_and(|state| state.starts_with("idle in transaction"));
    let behind = match holds_back {
        true => format!(
            "nothing is cleaned up behind its {} transaction ids",
            xids.map_or_else(|| "?".into(), |xids| xids.to_string())
        ),
        false => "it may hold locks".into(),
    };
    let evidence = format!("{}, transaction of {}: {behind}", session.who(), span(seconds));
    let (check, remedy) = match (idle, holds_back) {
        (true, _) => (
            Check::IdleInTransaction,
            "End the session: its transaction is rolled back. Then keep it from coming back with a time-out \
             for its role.",
        ),
        (false, true) => (
            Check::OldSnapshot,
            "While it lasts, every update of a hot row reads the dead ones before it. Let it end if it \
             soon will; else end it, and let reports and backups read from a standby.",
        ),
        (false, false) => return None,
    };
    let mut finding =
        Finding::new(check, severity, evidence).ends(&session, remedy, &patient.spared);
    if let (true, Some(sql), Some(role)) = (idle, &mut finding.sql, &session.role) {
        let role = quoted(role);
        *sql += &format!("\nALTER ROLE {role} SET idle_in_transaction_session_timeout = '60s';");
    }
    Some(finding.sessions(vec![session]))
}
