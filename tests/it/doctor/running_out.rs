//! Numbers that run out.

use super::{alone, examine, examine_with, is_found, of, one, superuser_url};
use giro_ledger::doctor::{Check, Limits, Severity};
use giro_tests::TestDatabase;
use giro_tests::database::connect;

#[tokio::test]
async fn ids_of_transactions_and_of_shared_locks_are_counted() {
    let (_cluster, database) = alone(&[]).await;
    let url = superuser_url(&database);
    let [first, second] = [connect(&url).await, connect(&url).await];
    first.batch_execute("CREATE TABLE public.t AS SELECT 1 AS a").await.unwrap();
    assert!(!is_found(&examine(&url).await, Check::XidAge));
    for session in [&first, &second] {
        session.batch_execute("BEGIN; SELECT * FROM public.t FOR SHARE").await.unwrap();
    }
    for session in [&first, &second] {
        session.batch_execute("COMMIT").await.unwrap();
    }
    let limits = Limits { xid_age: 1, ..Limits::default() };
    let report = examine_with(&url, &limits).await;
    for check in [Check::XidAge, Check::MultixactAge] {
        let finding = one(&report, check, Severity::Warning);
        assert!(
            finding.sql.as_deref().is_some_and(|sql| sql.contains("VACUUM (FREEZE")),
            "{finding}"
        );
    }
    let critical = Limits { xid_age_critical: 1, ..limits };
    one(&examine_with(&url, &critical).await, Check::XidAge, Severity::Critical);
}

#[tokio::test]
async fn the_numbers_of_batches_are_counted() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    for (share, severity) in [(0.6, Severity::Warning), (0.95, Severity::Critical)] {
        let set = format!("SELECT setval('giro.batch_id', ({share} * 2 ^ 47)::bigint)");
        superuser.batch_execute(&set).await.unwrap();
        one(&of(&database).await, Check::SequenceUsed, severity);
        one(&examine(&database.server_url).await, Check::SequenceUsed, severity);
    }
}
