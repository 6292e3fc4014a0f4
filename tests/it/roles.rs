//! The server's role may execute the functions and select the views; nobody rewrites history.

use giro_tests::{TestDatabase, TestServer, database::connect};
use serde_json::json;
use tokio_postgres::error::SqlState;

/// Every table, with one of its columns.
const TABLES: [(&str, &str); 10] = [
    ("account_state", "code"),
    ("account_details", "reference"),
    ("decisions", "code"),
    ("batches", "items"),
    ("account_balances", "version"),
    ("open_holds", "expires_at"),
    ("expirations", "seq"),
    ("hold_chains", "place"),
    ("imports", "last_at"),
    ("function_set", "hash"),
];

#[tokio::test]
async fn the_server_role_cannot_touch_the_tables() {
    let database = TestDatabase::new().await;
    let role = connect(&database.server_url).await;
    for (table, column) in TABLES {
        for statement in [
            format!("SELECT * FROM giro.{table}"),
            format!("INSERT INTO giro.{table} DEFAULT VALUES"),
            format!("UPDATE giro.{table} SET {column} = {column}"),
            format!("DELETE FROM giro.{table}"),
            format!("TRUNCATE giro.{table}"),
            format!("COPY giro.{table} TO STDOUT"),
            format!("ALTER TABLE giro.{table} DISABLE TRIGGER ALL"),
            format!("DROP TABLE giro.{table}"),
        ] {
            let error = role.batch_execute(&statement).await.expect_err(&statement);
            let code = error.code();
            assert_eq!(code, Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {error}");
        }
    }
    for statement in [
        "SELECT nextval('giro.batch_id')",
        "CREATE TABLE giro.mine ()",
        "CREATE FUNCTION giro.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT giro.refuse_change()",
        "SELECT giro.member_id(null, null)",
        "SELECT giro.enter_batch()",
        "DELETE FROM giro.transfers",
        "SET ROLE giro_owner",
        "SET ROLE postgres",
        "SELECT pg_read_file('PG_VERSION')",
    ] {
        let error = role.batch_execute(statement).await.expect_err(statement);
        let code = error.code();
        assert_eq!(code, Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {error:?}");
    }
    for view in [
        "accounts",
        "balances",
        "transfers",
        "entries",
        "balance_history",
        "rejections",
        "expired_holds",
        "batch_log",
        "schema_info",
    ] {
        role.query(&format!("SELECT * FROM giro.{view}"), &[]).await.expect(view);
    }
}

#[tokio::test]
async fn nobody_else_gets_in_at_all() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let stranger = "BEGIN; CREATE ROLE stranger_of_giro; SET LOCAL ROLE stranger_of_giro";
    for statement in [
        "SELECT * FROM giro.accounts",
        "SELECT * FROM giro.apply_transfers(0,0,'',null,'{}','{}','{}','{}','{}','{}','{}','{}','{}',
            null,null,null,null,null,null,null,null,null)",
    ] {
        superuser.batch_execute(stranger).await.unwrap();
        let error = superuser.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
        superuser.batch_execute("ROLLBACK").await.unwrap();
    }
    // No function that runs with its owner's rights looks for names where a caller can put them.
    let open = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                 WHERE n.nspname = 'giro' AND p.prosecdef
                   AND NOT coalesce(array_to_string(p.proconfig, ',') LIKE
                                    '%search_path=pg_catalog, giro, pg_temp%', false)";
    assert_eq!(database.number(open).await, 0);
    let to_public = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                      WHERE n.nspname = 'giro'
                        AND has_function_privilege('public', p.oid, 'EXECUTE')";
    assert_eq!(database.number(to_public).await, 0);
}

#[tokio::test]
async fn a_temporary_table_of_the_caller_does_not_replace_ours() {
    let server = TestServer::start().await;
    let accounts = json!([{"id": 1, "flags": ["debits_must_not_exceed_credits"]}, {"id": 2}]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    let role = connect(&server.database.server_url).await;
    // The caller's own account_state, without limits, and its own operators' namespace first.
    role.batch_execute(
        "CREATE TEMP TABLE account_state AS
             SELECT 1 AS ledger, id, 1 AS code, 0 AS flags, 0::numeric AS overdraft_limit,
                    0::numeric AS debits_pending, 0::numeric AS debits_posted,
                    0::numeric AS credits_pending, 0::numeric AS credits_posted,
                    0::bigint AS version, now() AS created_at, now() AS changed_at
               FROM giro.accounts;
         CREATE TEMP TABLE decisions (LIKE giro.transfers);
         SET search_path = pg_temp, giro, pg_catalog",
    )
    .await
    .unwrap();
    let row = role
        .query_one(
            "SELECT (giro.apply_transfers(0, 1, 'hijack', null, '{1,1}',
                '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}',
                '{00000000-0000-0000-0000-000000000063}', '{1}', '{1}', '{2}', '{5}', '{1}', '{0}',
                null, null, null, null, null, null, null, null, null)).reasons",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, Vec<Option<String>>>(0), [Some("exceeds_credits".to_owned())]);
    let untouched =
        role.query_one("SELECT count(*) FROM pg_temp.account_state WHERE version > 0", &[]);
    assert_eq!(untouched.await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn history_is_append_only_for_the_owner_as_well() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let body = json!({"debit_account": 1, "credit_account": 2, "amount": 1});
    assert_eq!(server.client.post("/transfer", &body).await.status, 200);
    for url in
        [&server.database.owner_url, &server.database.owner_url.replace("giro_owner", "postgres")]
    {
        let session = connect(url).await;
        // Even where ordinary triggers are switched off for replication.
        let _ = session.batch_execute("SET session_replication_role = replica").await;
        for statement in [
            "UPDATE giro.decisions SET amount = amount + 1",
            "DELETE FROM giro.decisions",
            "TRUNCATE giro.decisions",
            "UPDATE giro.batches SET applied = 0",
            "DELETE FROM giro.batches",
            "TRUNCATE giro.batches, giro.account_balances",
        ] {
            let error = session.batch_execute(statement).await.expect_err(statement);
            let word = error.as_db_error().expect("PostgreSQL's own word");
            assert!(word.message().contains("append-only"), "{statement}: {word}");
        }
    }
    assert_eq!(server.database.number("SELECT sum(amount)::bigint FROM giro.transfers").await, 1);
}

#[tokio::test]
async fn a_lost_right_to_execute_is_said_as_such_and_nothing_is_applied() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let superuser = server.database.superuser().await;
    let revoke = "REVOKE EXECUTE ON FUNCTION giro.apply_transfers FROM giro_server";
    superuser.batch_execute(revoke).await.unwrap();
    let body = json!({"id": 7, "debit_account": 1, "credit_account": 2, "amount": 1});
    let reply = server.client.post("/transfer", &body).await;
    assert_eq!((reply.status.as_u16(), reply.outcome()), (503, "not_applied"), "{}", reply.text);
    assert!(!reply.text.contains("apply_transfers"), "no SQL: {}", reply.text);
    let refused = r#"giro_db_errors_total{severity="ERROR",sqlstate="42501"}"#;
    assert!(server.metric(refused).await >= 1.0);
    assert_eq!(server.client.get("/transfers/7").await.status, 404);
    let grant = "GRANT EXECUTE ON FUNCTION giro.apply_transfers TO giro_server";
    superuser.batch_execute(grant).await.unwrap();
    server.until_ready().await;
    giro_tests::eventually("it is applied", async || {
        server.client.post("/transfer", &body).await.outcome() == "applied"
    })
    .await;
    server.database.assert_consistent().await;
}
