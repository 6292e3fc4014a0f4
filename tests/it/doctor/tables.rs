//! Tables that grow, and what the ledger itself shows.

use super::{examine, examine_with, is_found, of, one, paste, superuser_url};
use giro_ledger::doctor::{Check, Limits, Severity};
use giro_tests::database::connect;
use giro_tests::{TestDatabase, TestServer, eventually};
use serde_json::json;

const UPDATES: usize = 300;

#[tokio::test]
async fn an_index_on_a_balance_and_an_old_snapshot_show_in_the_tables() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let (_, database) = server.stop().await;
    let url = superuser_url(&database);
    let keeps = connect(&url).await;
    keeps.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    keeps.query_one("SELECT count(*) FROM giro.account_state", &[]).await.unwrap();
    let writer = connect(&url).await;
    let index = "CREATE INDEX rich ON giro.account_state (credits_posted)";
    writer.batch_execute(index).await.unwrap();
    for _ in 0..UPDATES {
        let update = "UPDATE giro.account_state SET credits_posted = credits_posted + 1";
        writer.batch_execute(update).await.unwrap();
    }
    // What a session has counted is seen when it ends.
    drop(writer);
    let superuser = database.superuser().await;
    superuser.batch_execute("ANALYZE giro.account_state").await.unwrap();
    let limits = Limits {
        hot_updates: UPDATES as i64,
        dead_times: 0.1,
        bloat_bytes: 16 << 10,
        unanalyzed_rows: 1,
        ..Limits::default()
    };
    eventually("the updates are counted", async || {
        is_found(&examine_with(&url, &limits).await, Check::HotShare)
    })
    .await;
    let report = examine_with(&url, &limits).await;
    one(&report, Check::HotShare, Severity::Critical);
    one(&report, Check::DeadRows, Severity::Warning);
    one(&report, Check::Bloat, Severity::Warning);
    let unanalyzed: Vec<_> = report.of(Check::NeverAnalyzed).collect();
    assert!(!unanalyzed.is_empty(), "{report}");
    one(&report, Check::IndexExtra, Severity::Critical);
    // The remedies, in their order: what keeps them, the index, the rows, the room, the statistics.
    drop(keeps);
    superuser.batch_execute("DROP INDEX giro.rich").await.unwrap();
    for finding in [&unanalyzed[..], &report.of(Check::Bloat).collect::<Vec<_>>()].concat() {
        paste(&superuser, finding.sql.as_deref().unwrap()).await;
    }
    paste(&superuser, one(&report, Check::HotShare, Severity::Critical).sql.as_deref().unwrap())
        .await;
    let live =
        "SELECT n_live_tup FROM pg_stat_all_tables WHERE relid = 'giro.account_state'::regclass";
    assert_eq!(database.number(live).await, 2, "autovacuum goes by it");
    eventually("they help", async || {
        let report = examine_with(&url, &limits).await;
        [Check::HotShare, Check::DeadRows, Check::Bloat, Check::NeverAnalyzed]
            .iter()
            .all(|check| !is_found(&report, *check))
    })
    .await;
}

#[tokio::test]
async fn a_table_is_not_bloated_because_its_counters_are_lost() {
    let server = TestServer::start().await;
    server.accounts(500).await;
    let (_, database) = server.stop().await;
    let superuser = database.superuser().await;
    superuser.batch_execute("ANALYZE giro.account_state; SELECT pg_stat_reset()").await.unwrap();
    let live =
        "SELECT n_live_tup FROM pg_stat_all_tables WHERE relid = 'giro.account_state'::regclass";
    assert_eq!(database.number(live).await, 0, "as after a crash");
    let limits = Limits { bloat_bytes: 16 << 10, ..Limits::default() };
    let url = superuser_url(&database);
    let report = examine_with(&url, &limits).await;
    assert!(report.healthy.contains(&Check::Bloat), "{report}");
    let never = "UPDATE pg_class SET reltuples = -1 WHERE oid = 'giro.account_state'::regclass";
    superuser.batch_execute(never).await.unwrap();
    let report = examine_with(&url, &limits).await;
    let note = report.not_looked_at.iter().find(|note| note.id == Check::Bloat);
    assert!(note.is_some() && !is_found(&report, Check::Bloat), "{report}");
}

#[tokio::test]
async fn hot_accounts_are_named_with_their_merge_factor() {
    let server = TestServer::start().await;
    server.accounts(60).await;
    for id in 0..30_u64 {
        let transfers: Vec<_> = (0..3)
            .map(|n| {
                json!({"id": 100 + 3 * id + n, "debit_account": 1,
                            "credit_account": 2 + id, "amount": 1})
            })
            .collect();
        let reply = server.client.post("/transfers", &json!(transfers)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    for url in [&server.database.server_url, &superuser_url(&server.database)] {
        let report = examine(url).await;
        let finding = one(&report, Check::HotAccount, Severity::Notice);
        let expected = "account 00000000-0000-0000-0000-000000000001 of ledger 1 is in 30 of the last \
                        30 batches (100 %), with 3.0 transfers a batch";
        assert_eq!(finding.evidence, expected);
        let sql = finding.sql.as_deref().expect("SQL to paste");
        assert!(sql.contains("seq > "), "bounded: {sql}");
        let rows = server.database.superuser().await.query(sql, &[]).await.unwrap();
        let counts: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
        assert_eq!(counts, [3; 20]);
    }
    server.stop().await;
}

#[tokio::test]
async fn holds_that_nobody_releases_are_found() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let overdue = "INSERT INTO giro.open_holds
                   SELECT 1, gen_random_uuid(), now() - interval '1 hour' FROM generate_series(1, 3)";
    superuser.batch_execute(overdue).await.unwrap();
    let finding_text =
        one(&of(&database).await, Check::HoldsOverdue, Severity::Warning).to_string();
    assert!(finding_text.contains("3 hold(s), the oldest for 60 min"), "{finding_text}");
}
