//! What a whole cluster has been set to.

use super::{alone, examine, examine_with, is_found, one, superuser_url};
use giro_ledger::doctor::{Check, Limits, Severity};
use giro_tests::{cluster, database::connect, eventually};
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn settings_that_lose_what_was_acknowledged_are_critical() {
    let (_cluster, database) = alone(&[
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("data_sync_retry", "on"),
        ("autovacuum", "off"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("deadlock_timeout", "5s"),
        ("idle_session_timeout", "10min"),
        ("max_wal_size", "10GB"),
    ])
    .await;
    let superuser = database.superuser().await;
    for _ in 0..12 {
        superuser.batch_execute("CHECKPOINT").await.unwrap();
    }
    let report = examine(&superuser_url(&database)).await;
    for check in
        [Check::FsyncOff, Check::FullPageWritesOff, Check::DataSyncRetryOn, Check::AutovacuumOff]
    {
        let finding = one(&report, check, Severity::Critical);
        assert!(
            finding.sql.as_deref().is_some_and(|sql| sql.contains("ALTER SYSTEM")),
            "{finding}"
        );
    }
    let finding = one(&report, Check::SynchronousCommitOff, Severity::Critical);
    assert!(finding.evidence.contains("for giro_app, set for the server"), "{finding}");
    one(&report, Check::WalLevelMinimal, Severity::Warning);
    let finding = one(&report, Check::FsyncOff, Severity::Critical);
    assert!(finding.remedy.contains("initdb --sync-only"), "{finding}");
    let finding = one(&report, Check::CheckpointsForced, Severity::Warning);
    let sql = finding.sql.as_deref().unwrap();
    assert!(sql.starts_with("ALTER SYSTEM SET max_wal_size = '20480MB';"), "{sql}");
    let timeouts: Vec<_> = report.of(Check::SessionTimeouts).map(|it| &it.evidence[..]).collect();
    for expected in ["idle_session_timeout = 600000 ms for giro_app", "deadlock_timeout = 5000 ms"]
    {
        assert!(timeouts.iter().any(|found| found.contains(expected)), "{expected}: {report}");
    }
    assert_eq!(report.worst, Some(Severity::Critical));
    assert_eq!(report.findings[0].severity, Severity::Critical, "the worst first: {report}");
}

#[tokio::test]
async fn what_the_session_has_that_looks_is_not_taken_for_the_servers() {
    let (_cluster, database) = alone(&[("synchronous_commit", "off")]).await;
    let superuser = database.superuser().await;
    for own in [
        "synchronous_commit = 'on'",
        "default_transaction_read_only = on",
        "idle_in_transaction_session_timeout = '60s'",
        "idle_session_timeout = '1h'",
        "track_counts = off",
    ] {
        superuser.batch_execute(&format!("ALTER ROLE postgres SET {own}")).await.unwrap();
    }
    let hidden = [
        Check::SynchronousCommitOff,
        Check::NotPrimary,
        Check::TransactionsUnbounded,
        Check::SessionTimeouts,
        Check::AutovacuumOff,
    ];
    let report = examine(&superuser_url(&database)).await;
    for check in hidden {
        assert!(!is_found(&report, check) && !report.healthy.contains(&check), "{report}");
        let note = report.not_looked_at.iter().find(|note| note.id == check).unwrap();
        assert!(note.because.contains("(user)"), "{report}");
    }
    let report = examine(&database.server_url).await;
    one(&report, Check::SynchronousCommitOff, Severity::Critical);
    one(&report, Check::TransactionsUnbounded, Severity::Notice);
    assert!(report.healthy.contains(&Check::NotPrimary), "{report}");
    assert!(report.healthy.contains(&Check::SessionTimeouts), "{report}");
    assert!(report.healthy.contains(&Check::AutovacuumOff), "{report}");
    // What is set for the servers' role is seen by everybody.
    superuser.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    for own in ["synchronous_commit = 'off'", "default_transaction_read_only = on"] {
        superuser.batch_execute(&format!("ALTER ROLE giro_app SET {own}")).await.unwrap();
    }
    let report = examine(&superuser_url(&database)).await;
    one(&report, Check::SynchronousCommitOff, Severity::Critical);
    one(&report, Check::NotPrimary, Severity::Critical);
}

#[tokio::test]
async fn what_keeps_wal_and_what_waits_to_be_committed_is_found() {
    let (_cluster, database) = alone(&[
        ("archive_mode", "on"),
        ("archive_command", "false"),
        ("wal_level", "logical"),
        ("max_prepared_transactions", "2"),
    ])
    .await;
    let url = superuser_url(&database);
    let superuser = database.superuser().await;
    for statement in [
        "SELECT pg_create_physical_replication_slot('gone', true)",
        "SELECT pg_create_logical_replication_slot('left', 'pgoutput')",
        "SELECT pg_switch_wal()",
    ] {
        superuser.batch_execute(statement).await.unwrap();
    }
    for table in ["one", "two"] {
        superuser.batch_execute(&format!("CREATE TABLE {table} (a int)")).await.unwrap();
    }
    let prepare = "BEGIN; LOCK TABLE one; PREPARE TRANSACTION 'nobody''s'";
    superuser.batch_execute(prepare).await.unwrap();
    let limits = Limits {
        xmin_age: 1,
        wal_kept_times: 0.0,
        old: Duration::ZERO,
        other_wait: Duration::ZERO,
        ..Limits::default()
    };
    eventually("archiving has failed", async || {
        is_found(&examine_with(&url, &limits).await, Check::ArchiveFails)
    })
    .await;
    let waits = connect(&url).await;
    let waiting = tokio::spawn(async move { waits.batch_execute("SELECT * FROM one").await });
    eventually("it waits for the prepared transaction", async || {
        is_found(&examine_with(&url, &limits).await, Check::Blocking)
    })
    .await;
    let report = examine_with(&url, &limits).await;
    let finding = one(&report, Check::ArchiveFails, Severity::Critical);
    assert!(finding.evidence.contains("never"), "{finding}");
    one(&report, Check::WalKept, Severity::Warning);
    let slots: Vec<_> = report.of(Check::ReplicationSlot).collect();
    assert_eq!(slots.len(), 2, "{report}");
    assert!(slots.iter().all(|it| it.evidence.contains("used by nobody")), "{report}");
    assert!(
        one(&report, Check::ReplicaHoldsXmin, Severity::Warning).evidence.contains("slot left")
    );
    let blocking = one(&report, Check::Blocking, Severity::Warning);
    assert_eq!((blocking.sessions[0].pid, blocking.sessions[1].depth), (0, Some(1)), "{blocking}");
    let prepared = one(&report, Check::PreparedTransaction, Severity::Warning);
    let sql = prepared.sql.as_deref().unwrap();
    assert!(sql.starts_with("-- Only if"), "{sql}");
    superuser.batch_execute(sql).await.unwrap();
    waiting.await.unwrap().unwrap();
    let critical = Limits { slot_wal_critical: 1, ..limits };
    let report = examine_with(&url, &critical).await;
    assert!(!is_found(&report, Check::PreparedTransaction), "{report}");
    assert!(
        report.of(Check::ReplicationSlot).all(|it| it.severity == Severity::Critical),
        "{report}"
    );
}

#[tokio::test]
async fn a_port_that_is_forwarded_is_noticed() {
    let cluster = cluster::start(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (front, back) = (listener.local_addr().unwrap().port(), cluster.port());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(("127.0.0.1", back)).await.unwrap();
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
    });
    let url = cluster.tcp_url("postgres", cluster.password(), "postgres");
    let report = examine(&url).await;
    assert!(!is_found(&report, Check::AddressDiffers), "{report}");
    let forwarded = url.replace(&format!(":{back}/"), &format!(":{front}/"));
    let report = examine(&forwarded).await;
    let finding = one(&report, Check::AddressDiffers, Severity::Notice);
    assert!(finding.evidence.contains(&front.to_string()), "{finding}");
    assert!(!is_found(&report, Check::Pooler), "it passes bytes on: {report}");
}

#[tokio::test]
async fn corrupt_pages_are_critical() {
    let mut cluster = cluster::start(&[]);
    let url = cluster.url("postgres", "postgres");
    let session = connect(&url).await;
    session.batch_execute("CREATE TABLE t AS SELECT 1 AS a; CHECKPOINT").await.unwrap();
    let path = session.query_one("SELECT pg_relation_filepath('t')", &[]).await.unwrap();
    let path = cluster.data_dir().join("pg").join(path.get::<_, &str>(0));
    cluster.kill();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[0xff; 16], 8000).unwrap();
    drop(file);
    cluster.start_again();
    let url = cluster.url("postgres", "postgres");
    let session = connect(&url).await;
    let error = session.simple_query("SELECT * FROM t").await.expect_err("the page is corrupt");
    assert_eq!(error.code().map(|code| code.code()), Some("XX001"), "{error}");
    drop(session);
    eventually("it is counted", async || {
        let report = examine(&url).await;
        is_found(&report, Check::ChecksumFailures)
    })
    .await;
}
