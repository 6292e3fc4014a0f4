//! Standbys that are missing, waited for, or hold something back.

use super::{examine, examine_with, is_found, one};
use giro_ledger::doctor::{Check, Limits, Severity};
use giro_tests::database::connect;
use giro_tests::standby::Replication;
use giro_tests::{Pair, eventually};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_gone_is_critical_and_so_is_what_waits_for_it() {
    let pair = Pair::start(Replication::Synchronous).await;
    let database = pair.database().await;
    let primary = pair.primary.url("postgres", "giro");
    let report = examine(&primary).await;
    assert!(report.worst <= Some(Severity::Notice), "{report}");
    let alter = "ALTER DATABASE giro SET synchronous_commit = local";
    let superuser = connect(&primary).await;
    superuser.batch_execute(alter).await.unwrap();
    one(&examine(&primary).await, Check::StandbyNotAwaited, Severity::Warning);
    superuser.batch_execute("ALTER DATABASE giro RESET synchronous_commit").await.unwrap();

    let standby = pair.standby.url("postgres", "giro");
    eventually("the database is on the standby", async || {
        let reached = tokio_postgres::connect(&standby, tokio_postgres::NoTls).await;
        reached.is_ok()
    })
    .await;
    let report = examine(&standby).await;
    one(&report, Check::NotPrimary, Severity::Critical);
    let wanted = format!("{standby}?target_session_attrs=prefer-standby");
    one(&examine(&wanted).await, Check::NotPrimary, Severity::Notice);
    let both = pair.url("postgres", "giro");
    assert!(!is_found(&examine(&both).await, Check::NotPrimary), "it looks at the primary");

    drop(pair.standby);
    eventually("it is missed", async || is_found(&examine(&primary).await, Check::StandbyAbsent))
        .await;
    let server_url = pair.primary.url("giro_app", "giro");
    let waits = connect(&server_url).await;
    waits.batch_execute("SET application_name = 'giro lane 1'").await.unwrap();
    let write = "SELECT pg_logical_emit_message(true, 'giro', 'a commit')";
    let waits = tokio::spawn(async move { waits.batch_execute(write).await });
    eventually("its commit waits", async || {
        is_found(&examine(&server_url).await, Check::CommitsWait)
    })
    .await;
    let report = examine(&primary).await;
    let finding = one(&report, Check::CommitsWait, Severity::Critical);
    assert!(finding.remedy.contains("Never cancel"), "{finding}");
    let finding = one(&report, Check::StandbyAbsent, Severity::Critical);
    assert!(finding.evidence.contains("needs 1, 0 follow"), "{finding}");
    waits.abort();
    drop(database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_ends_a_commit_that_waits_for_a_standby_nor_who_waits_for_it() {
    let pair = Pair::start(Replication::Synchronous).await;
    let database = pair.database().await;
    let url = pair.primary.url("postgres", "giro");
    let watches = connect(&url).await;
    let [commits, waits] = [connect(&url).await, connect(&url).await];
    let mut spared = Vec::new();
    for session in [&commits, &waits] {
        let row = session.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
        spared.push(row.get::<_, i32>(0));
    }
    drop(pair.standby);
    let commits = tokio::spawn(async move {
        let lock = "BEGIN; LOCK TABLE giro.batches IN ROW EXCLUSIVE MODE;
                    SELECT pg_logical_emit_message(true, 'giro', 'a commit'); COMMIT";
        commits.batch_execute(lock).await
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let count = async |sql| watches.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    eventually("its commit waits", async || count(waiting).await == 1).await;
    let waits = tokio::spawn(async move {
        let lock = "BEGIN; SELECT pg_current_xact_id();
                    LOCK TABLE giro.imports IN ROW EXCLUSIVE MODE; LOCK TABLE giro.batches";
        waits.batch_execute(lock).await
    });
    let blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    eventually("the other waits for it", async || count(blocked).await == 1).await;
    let (old, very_old, zero) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let limits = Limits { old, very_old, giro_wait: zero, other_wait: zero, ..Limits::default() };
    for role in ["postgres", "giro_app"] {
        let report = examine_with(&pair.primary.url(role, "giro"), &limits).await;
        let expected: &[_] = match role {
            "postgres" => &[Check::Blocking, Check::LockHeld, Check::OldSnapshot],
            _ => &[Check::Blocking, Check::LockHeld],
        };
        for check in expected {
            assert!(is_found(&report, *check), "{}: {report}", check.name());
        }
        for finding in &report.findings {
            let sql = finding.sql.as_deref().unwrap_or_default();
            let named = |pid: &i32| {
                sql.split(|c: char| !c.is_ascii_digit()).any(|word| word == pid.to_string())
            };
            assert!(!spared.iter().any(named), "{spared:?}: {finding}");
        }
    }
    commits.abort();
    waits.abort();
    drop(database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_holds_back_cleaning_is_found() {
    let pair = Pair::start(Replication::Asynchronous).await;
    let primary = pair.primary.url("postgres", "postgres");
    let session = connect(&primary).await;
    session.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let standby = pair.standby.url("postgres", "postgres");
    let reader = connect(&standby).await;
    for setting in ["hot_standby_feedback = on", "wal_receiver_status_interval = '1s'"] {
        reader.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
    }
    reader.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    reader.query_one("SELECT count(*) FROM pg_class", &[]).await.unwrap();
    for _ in 0..5 {
        session.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    }
    let limits = Limits { xmin_age: 3, ..Limits::default() };
    eventually("it tells the primary", async || {
        let report = examine_with(&primary, &limits).await;
        report.of(Check::ReplicaHoldsXmin).any(|it| it.evidence.contains("standby"))
    })
    .await;
}
