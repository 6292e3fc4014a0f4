//! `giro doctor` is silent on what is well, and finds what hurts: each finding is provoked.

mod cluster_settings;
mod command;
mod foreign_text;
mod live;
mod objects;
mod pooler;
mod replicas;
mod running_out;
mod tables;

use giro_ledger::Connector;
use giro_ledger::doctor::{Check, Finding, Limits, Report, Severity, Wanted, doctor};
use giro_tests::cluster::{self, TestCluster};
use giro_tests::{TestDatabase, TestServer};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// As the default configuration has it.
fn wanted() -> Wanted {
    Wanted { lanes: 1, read_sessions: 4, servers: None }
}

fn connector(url: &str) -> Connector {
    Connector::new(url, 10 * SECOND, 2 * SECOND, SECOND).expect("a URL")
}

async fn examine(url: &str) -> Report {
    examine_with(url, &Limits::default()).await
}

async fn examine_with(url: &str, limits: &Limits) -> Report {
    let report = doctor(&connector(url), &wanted(), limits).await;
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    let of_findings = report.findings.iter().map(|finding| finding.id);
    let of_notes = report.not_looked_at.iter().map(|note| note.id);
    let known: BTreeSet<Check> =
        of_findings.chain(of_notes).chain(report.healthy.iter().copied()).collect();
    assert_eq!(known.len(), Check::ALL.len(), "each check says something: {report}");
    for finding in &report.findings {
        assert!(!finding.remedy.is_empty(), "{finding}");
        assert!(finding.id.severities().contains(&finding.severity), "{finding}");
    }
    report
}

fn superuser_url(database: &TestDatabase) -> String {
    database.owner_url.replace("giro_owner", "postgres")
}

/// What a superuser sees.
async fn of(database: &TestDatabase) -> Report {
    examine(&superuser_url(database)).await
}

/// The one finding of a check.
fn one(report: &Report, check: Check, severity: Severity) -> &Finding {
    let all: Vec<_> = report.of(check).collect();
    let [finding] = all[..] else { panic!("{} {}: {report}", all.len(), check.name()) };
    assert_eq!(finding.severity, severity, "{finding}");
    finding
}

fn is_found(report: &Report, check: Check) -> bool {
    report.of(check).next().is_some()
}

/// Runs what a finding offers as a person would: one statement after the other.
async fn paste(session: &tokio_postgres::Client, sql: &str) {
    for statement in sql.split_inclusive(";\n") {
        let done = session.batch_execute(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// A cluster of the test's own, with a migrated database.
async fn alone(settings: &[(&str, &str)]) -> (TestCluster, TestDatabase) {
    let cluster = cluster::start(settings);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    (cluster, database)
}

#[tokio::test]
async fn a_healthy_database_in_use_has_nothing_above_a_notice() {
    let (_cluster, database) = alone(&[]).await;
    let server = TestServer::on(database, |_| {}).await;
    server.accounts(3).await;
    for id in 1..=30 {
        let transfer = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        assert_eq!(server.client.post("/transfer", &transfer).await.outcome(), "applied");
    }
    let database = &server.database;
    for url in [&superuser_url(database), &database.owner_url, &database.server_url] {
        let report = examine(url).await;
        assert!(report.worst <= Some(Severity::Notice), "{report}");
        let sees_all = report.role == "postgres";
        assert_eq!(report.not_looked_at.is_empty(), sees_all, "{report}");
    }
    // A database of its own is asked nothing that would change it.
    server.database.assert_consistent().await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_role_may_not_see_is_not_taken_for_healthy() {
    let database = TestDatabase::new().await;
    let report = examine(&database.server_url).await;
    for check in [
        Check::Blocking,
        Check::IdleInTransaction,
        Check::OldSnapshot,
        Check::WalKept,
        Check::HoldsOverdue,
    ] {
        let note = report.not_looked_at.iter().find(|note| note.id == check);
        let note = note.unwrap_or_else(|| panic!("{}: {report}", check.name()));
        assert!(!report.healthy.contains(&check), "{report}");
        if check != Check::HoldsOverdue {
            assert!(note.because.contains("look with a role that is a member of pg_monitor"));
            assert!(
                note.sql.as_deref().is_some_and(|sql| sql.starts_with("GRANT pg_")),
                "{report}"
            );
        }
    }
    assert!(report.to_string().contains("GRANT pg_monitor TO giro_app;"), "{report}");
}
