//! Who waits for whom, and what does not end.

use super::{SECOND, alone, examine, examine_with, is_found, one, superuser_url, wanted};
use giro_ledger::Connector;
use giro_ledger::doctor::{Check, Finding, Limits, Report, SessionSeen, Severity, doctor};
use giro_tests::database::connect;
use giro_tests::{TestDatabase, TestServer, eventually};
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Looks until something is found.
async fn until(url: &str, limits: &Limits, check: Check) -> Report {
    let found = Mutex::new(None);
    eventually(check.name(), async || {
        let report = examine_with(url, limits).await;
        let is = is_found(&report, check);
        *found.lock().unwrap() = Some(report);
        is
    })
    .await;
    found.into_inner().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_names_who_holds_up_whom_and_for_which_account() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let url = superuser_url(&server.database);
    let holder = connect(&url).await;
    holder
        .batch_execute(
            "SET application_name = 'somebody''s terminal'; BEGIN;
             SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE",
        )
        .await
        .unwrap();
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let transfer = json!({"id": 7, "debit_account": 1, "credit_account": 2, "amount": 1});
    let client = server.client;
    let caller = tokio::spawn(async move {
        let mut tries = 0;
        // Each is told 503, unless a batch finds the row free.
        while client.post("/transfer", &transfer).await.outcome() != "applied" {
            tries += 1;
        }
        tries
    });
    let limits = Limits::default();
    // The server's own role sees that it waits, and for whom.
    let report = until(&server.database.server_url, &limits, Check::Blocking).await;
    let finding = one(&report, Check::Blocking, Severity::Critical);
    assert_eq!((finding.sessions[0].pid, &finding.sessions[0].query), (pid, &None), "{finding}");
    assert_eq!(finding.sql, None, "it could be a commit that waits for a standby: {finding}");
    // Another waits behind the server.
    let other = connect(&url).await;
    let other = tokio::spawn(async move {
        let lock = "SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
        other.batch_execute(lock).await
    });
    let short = Limits { old: Duration::ZERO, ..limits };
    let text = Mutex::new(String::new());
    eventually("both wait", async || {
        let report = examine_with(&url, &short).await;
        // Between two tries, Giro has not waited for long.
        let both = |it: &&Finding| it.sessions.len() >= 3 && it.severity == Severity::Critical;
        let Some(finding) = report.of(Check::Blocking).find(both) else { return false };
        let holder = &finding.sessions[0];
        assert_eq!((holder.pid, holder.depth), (pid, Some(0)), "{finding}");
        assert_eq!(holder.state.as_deref(), Some("idle in transaction"), "{finding}");
        let sql = finding.sql.as_deref().unwrap();
        assert!(sql.starts_with("SELECT pg_terminate_backend(pid)"), "{sql}");
        assert!(sql.contains(&format!("WHERE pid = {pid} AND")), "{sql}");
        assert!(is_found(&report, Check::IdleInTransaction), "{report}");
        *text.lock().unwrap() = finding.to_string();
        let account = "account 00000000-0000-0000-0000-000000000001 of ledger 1";
        let waits_for_it = |it: &SessionSeen| {
            it.application.as_deref().is_some_and(|name| name.starts_with("giro lane"))
                && it.waits_for.as_deref() == Some(account)
        };
        finding.sessions.iter().any(waits_for_it)
    })
    .await;
    let text = text.into_inner().unwrap();
    assert!(text.contains("somebody's terminal") && text.contains("└ pid"), "{text}");
    let admin = connect(&url).await;
    admin.batch_execute(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    caller.await.unwrap();
    other.await.unwrap().unwrap();
    assert!(!is_found(&examine(&url).await, Check::Blocking));
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn batches_that_wait_for_each_other_are_nothing_to_report() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let [first, second] = [connect(&url).await, connect(&url).await];
    for (session, name) in [(&first, "giro lane 1"), (&second, "giro lane 2")] {
        session.batch_execute(&format!("SET application_name = '{name}'; BEGIN")).await.unwrap();
    }
    first.batch_execute("LOCK TABLE giro.imports").await.unwrap();
    let waits = tokio::spawn(async move { second.batch_execute("LOCK TABLE giro.imports").await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted
                   AND relation = 'giro.imports'::regclass";
    eventually("it waits", async || database.number(waiting).await == 1).await;
    let limits =
        Limits { giro_wait: Duration::ZERO, other_wait: Duration::ZERO, ..Limits::default() };
    let report = examine_with(&url, &limits).await;
    assert!(!is_found(&report, Check::Blocking) && !is_found(&report, Check::LockHeld), "{report}");
    first.batch_execute("COMMIT").await.unwrap();
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_stays_open_is_found_before_anybody_waits_for_it() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let (old, other_wait) = (Duration::ZERO, Duration::ZERO);
    let limits = Limits { old, other_wait, ..Limits::default() };
    let idle = connect(&url).await;
    idle.batch_execute("BEGIN; LOCK TABLE giro.batches IN ROW EXCLUSIVE MODE").await.unwrap();
    let report = examine_with(&url, &limits).await;
    let finding = one(&report, Check::LockHeld, Severity::Warning);
    assert!(finding.evidence.contains("RowExclusiveLock on batches"), "{finding}");
    one(&report, Check::IdleInTransaction, Severity::Warning);
    idle.batch_execute("LOCK TABLE giro.batches").await.unwrap();
    let very = Limits { very_old: Duration::ZERO, ..limits.clone() };
    let report = examine_with(&url, &very).await;
    one(&report, Check::LockHeld, Severity::Critical);
    let finding = one(&report, Check::IdleInTransaction, Severity::Critical);
    let sql = finding.sql.as_deref().unwrap();
    assert!(sql.contains("idle_in_transaction_session_timeout"), "{sql}");
    // As the servers' role: the lock is seen, whose it is not.
    let report = examine_with(&database.server_url, &limits).await;
    one(&report, Check::LockHeld, Severity::Critical);
    idle.batch_execute("ROLLBACK").await.unwrap();

    let busy = connect(&url).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    busy.batch_execute(begin).await.unwrap();
    busy.query_one("SELECT 1", &[]).await.unwrap();
    let report = examine_with(&url, &limits).await;
    assert!(
        one(&report, Check::IdleInTransaction, Severity::Warning).evidence.contains("cleaned up")
    );
    let sleep = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(600)").await });
    let report = until(&url, &limits, Check::OldSnapshot).await;
    let finding = one(&report, Check::OldSnapshot, Severity::Warning);
    let sql = finding.sql.as_deref().unwrap();
    database.superuser().await.batch_execute(sql).await.unwrap();
    sleep.await.unwrap().expect_err("it was ended");
    let report = examine_with(&url, &limits).await;
    assert!(!is_found(&report, Check::OldSnapshot), "{report}");
}

#[tokio::test]
async fn who_has_just_begun_to_wait_hides_nobody_who_holds() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let holder = connect(&url).await;
    let lock = "LOCK TABLE giro.account_state IN EXCLUSIVE MODE";
    // It holds for longer than the limit, and the other waits for less.
    holder.batch_execute(&format!("BEGIN; {lock}; SELECT pg_sleep(4)")).await.unwrap();
    let waiter = connect(&url).await;
    waiter.batch_execute("SET application_name = 'giro lane 1'; BEGIN").await.unwrap();
    let waits = tokio::spawn(async move { waiter.batch_execute(lock).await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    eventually("it waits", async || database.number(waiting).await > 0).await;
    let (giro_wait, other_wait) = (600 * SECOND, 4 * SECOND);
    let limits = Limits { giro_wait, other_wait, ..Limits::default() };
    let report = examine_with(&url, &limits).await;
    one(&report, Check::LockHeld, Severity::Critical);
    assert!(!is_found(&report, Check::Blocking), "{report}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_end_is_critical() {
    let database = TestDatabase::new().await;
    let hangs = connect(&database.server_url).await;
    hangs.batch_execute("SET application_name = 'giro lane 1'").await.unwrap();
    let hangs = tokio::spawn(async move { hangs.batch_execute("SELECT pg_sleep(600)").await });
    let short = Duration::from_millis(10);
    let connector = Connector::new(&database.server_url, 10 * SECOND, short, short).unwrap();
    let found = Mutex::new(None);
    eventually("it hangs", async || {
        let report = doctor(&connector, &wanted(), &Limits::default()).await.unwrap();
        *found.lock().unwrap() = report.of(Check::GiroHangs).next().cloned();
        found.lock().unwrap().is_some()
    })
    .await;
    let finding = found.into_inner().unwrap().unwrap();
    assert_eq!(finding.severity, Severity::Critical);
    assert!(finding.evidence.contains("PgSleep"), "{finding}");
    hangs.abort();
}

#[tokio::test]
async fn deadlocks_are_noticed() {
    // On a cluster of its own: in the log of the one that tests share, a deadlock is a defect.
    let (_cluster, database) = alone(&[]).await;
    let url = superuser_url(&database);
    let [first, second] = [connect(&url).await, connect(&url).await];
    let quick = "SET deadlock_timeout = '10ms'; BEGIN";
    for (session, table) in [(&first, "batches"), (&second, "imports")] {
        session.batch_execute(&format!("{quick}; LOCK TABLE giro.{table}")).await.unwrap();
    }
    let (one_way, other_way) = tokio::join!(
        first.batch_execute("LOCK TABLE giro.imports"),
        second.batch_execute("LOCK TABLE giro.batches"),
    );
    assert!(one_way.is_err() || other_way.is_err(), "nobody was told of the deadlock");
    drop((first, second));
    let report = until(&url, &Limits::default(), Check::Deadlocks).await;
    let finding = one(&report, Check::Deadlocks, Severity::Notice);
    assert!(finding.evidence.starts_with("1 since"), "{finding}");
    assert_eq!(finding.sql, None, "to count anew would blind autovacuum");
}

#[tokio::test]
async fn maintenance_is_called_by_its_name_and_left_alone() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let limits = Limits { old: Duration::ZERO, ..Limits::default() };
    let begin = "CREATE TABLE public.t AS SELECT g AS a FROM generate_series(1, 10000) g;
                 CREATE TABLE public.small AS SELECT 1 AS a";
    database.superuser().await.batch_execute(begin).await.unwrap();
    // As slow as it gets: it is still at work when it is looked at.
    let vacuum = connect(&url).await;
    vacuum.batch_execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1").await.unwrap();
    let vacuum = tokio::spawn(async move { vacuum.batch_execute("VACUUM (FREEZE) t").await });
    // It waits within the expression of its index.
    let superuser = database.superuser().await;
    superuser
        .batch_execute(
            "CREATE FUNCTION public.slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql
                 AS 'BEGIN PERFORM pg_sleep(600); RETURN 1; END'",
        )
        .await
        .unwrap();
    let index = connect(&url).await;
    let index = tokio::spawn(async move {
        index.batch_execute("CREATE INDEX CONCURRENTLY i ON public.small (public.slow(a))").await
    });
    let vacuums = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE datname = current_database()";
    eventually("it vacuums", async || database.number(vacuums).await == 1).await;
    let found = Mutex::new(None);
    eventually("the index is made", async || {
        let report = examine_with(&url, &limits).await;
        let finding = report.of(Check::OldSnapshot).find(|it| it.evidence.contains("INDEX or"));
        *found.lock().unwrap() = finding.cloned();
        assert!(report.of(Check::OldSnapshot).count() < 2, "a vacuum is none: {report}");
        finding.is_some()
    })
    .await;
    assert_eq!(database.number(vacuums).await, 1, "it still vacuumed");
    let finding = found.into_inner().unwrap().unwrap();
    assert_eq!((finding.severity, finding.sql), (Severity::Warning, None));
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND query ~ '^(VACUUM|CREATE INDEX)'";
    assert_eq!(database.number(end).await, 2);
    vacuum.await.unwrap().expect_err("it was ended");
    index.await.unwrap().expect_err("it was ended");
}

#[tokio::test]
async fn a_vacuum_that_holds_others_up_is_to_be_cancelled() {
    let database = TestDatabase::new().await;
    let url = superuser_url(&database);
    let begin = "CREATE TABLE public.t AS SELECT g AS a FROM generate_series(1, 10000) g";
    database.superuser().await.batch_execute(begin).await.unwrap();
    let vacuum = connect(&url).await;
    vacuum.batch_execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1").await.unwrap();
    let vacuum = tokio::spawn(async move { vacuum.batch_execute("VACUUM (FREEZE) t").await });
    let vacuums = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE datname = current_database()";
    eventually("it vacuums", async || database.number(vacuums).await == 1).await;
    let waits = connect(&url).await;
    let waits = tokio::spawn(async move { waits.batch_execute("CREATE INDEX ON t (a)").await });
    let limits = Limits { other_wait: Duration::ZERO, ..Limits::default() };
    let report = until(&url, &limits, Check::Blocking).await;
    let finding = one(&report, Check::Blocking, Severity::Warning);
    assert!(finding.remedy.contains("VACUUM"), "{finding}");
    let sql = finding.sql.as_deref().unwrap();
    database.superuser().await.batch_execute(sql).await.unwrap();
    let error = vacuum.await.unwrap().expect_err("it was cancelled");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
    waits.await.unwrap().unwrap();
}
