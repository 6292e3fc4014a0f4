//! A database that answers, and cannot be used: full, of another version, or with a right taken away.

use super::{assert_sheds_at_once, patient, transfer};
use giro_tests::database::connect;
use giro_tests::load::{Load, Plan};
use giro_tests::{TestServer, eventually};

const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name LIKE 'giro%'";

async fn with_two_accounts() -> TestServer {
    let server = TestServer::start().await;
    server.accounts(2).await;
    server
}

/// It takes a transfer again, without anybody's help.
async fn assert_heals(server: &TestServer, id: u64) {
    server.until_ready().await;
    let reply = server.client.post("/transfer", &transfer(id)).await;
    assert_eq!(reply.outcome(), "applied", "{}", reply.text);
}

#[tokio::test]
async fn without_a_free_connection_work_is_shed_at_once_until_there_is_one() {
    let server = with_two_accounts().await;
    let superuser = server.database.superuser().await;
    // The same refusal, 53300, as when max_connections are in use.
    let limit = async |limit: i32| {
        let alter = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT {limit}',
                                        current_database()); END $$"
        );
        superuser.batch_execute(&alter).await.unwrap();
    };
    limit(0).await;
    superuser.query(KILL, &[]).await.unwrap();
    assert_sheds_at_once(&server, "breaker_open").await;
    assert!(server.metric(r#"giro_connect_failures_total{cause="53300"}"#).await >= 1.0);
    limit(-1).await;
    assert_heals(&server, 1).await;
}

#[tokio::test]
async fn a_schema_that_is_gone_older_or_newer_is_not_served_until_it_fits() {
    let server = with_two_accounts().await;
    let superuser = server.database.superuser().await;
    for (number, (break_it, mend_it, says)) in [
        (
            "ALTER SCHEMA giro RENAME TO elsewhere",
            "ALTER SCHEMA elsewhere RENAME TO giro",
            "no giro schema",
        ),
        (
            "CREATE TABLE giro.kept AS SELECT * FROM giro.migrations ORDER BY version DESC LIMIT 1;
             DELETE FROM giro.migrations WHERE version = (SELECT max(version) FROM giro.migrations)",
            "INSERT INTO giro.migrations SELECT * FROM giro.kept",
            "run `giro migrate`",
        ),
        (
            "INSERT INTO giro.migrations (version, name, applied_on, checksum)
             VALUES (999, 'later', '', '1')",
            "DELETE FROM giro.migrations WHERE version = 999",
            "use a newer giro",
        ),
        (
            "CREATE TABLE giro.hash AS SELECT hash FROM giro.function_set;
             UPDATE giro.function_set SET hash = 'another'",
            "UPDATE giro.function_set SET hash = (SELECT hash FROM giro.hash)",
            "the functions in the database are of another build",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        superuser.batch_execute(break_it).await.unwrap();
        superuser.query(KILL, &[]).await.unwrap();
        assert_sheds_at_once(&server, "breaker_open").await;
        eventually(says, async || server.admin.get("/readyz").await.text.contains(says)).await;
        superuser.batch_execute(mend_it).await.unwrap();
        assert_heals(&server, number as u64 + 1).await;
    }
    server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_is_replaced_under_load_is_noticed_by_nobody() {
    let server = TestServer::configured(patient).await;
    let load = Load::start(server.client, Plan::patient(10)).await;
    let owner = connect(&server.database.owner_url).await;
    let definition = "SELECT pg_get_functiondef('giro.apply_transfers'::regproc)";
    let definition: String = owner.query_one(definition, &[]).await.unwrap().get(0);
    for _ in 0..3 {
        load.decides(50).await;
        // Another function with the same text, so every plan that names the old one is void.
        let replace = format!(
            "BEGIN; DROP FUNCTION giro.apply_transfers; {definition};
             REVOKE ALL ON FUNCTION giro.apply_transfers FROM PUBLIC;
             GRANT EXECUTE ON FUNCTION giro.apply_transfers TO giro_server; COMMIT"
        );
        owner.batch_execute(&replace).await.unwrap();
    }
    load.decides(50).await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    let decided = settled.applied + settled.rejected;
    let metrics = server.admin.get("/metrics").await.text;
    let errors: Vec<_> = metrics.lines().filter(|line| line.contains("sqlstate")).collect();
    assert_eq!(history.answers.len(), decided, "{:?} {errors:?}", history.shed());
}

#[tokio::test]
async fn a_right_that_is_taken_away_stops_traffic_until_it_is_given_back() {
    let server = with_two_accounts().await;
    let owner = connect(&server.database.owner_url).await;
    let revoke = "REVOKE EXECUTE ON FUNCTION giro.apply_transfers FROM giro_server";
    owner.batch_execute(revoke).await.unwrap();
    assert_sheds_at_once(&server, "breaker_open").await;
    let refused = r#"giro_db_errors_total{severity="ERROR",sqlstate="42501"}"#;
    assert!(server.metric(refused).await >= 1.0);
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
    let grant = "GRANT EXECUTE ON FUNCTION giro.apply_transfers TO giro_server";
    owner.batch_execute(grant).await.unwrap();
    assert_heals(&server, 1).await;
}
