//! A reply that cannot be trusted is never passed on: replaced array functions stand in for a pooler
//! that mixes replies up, a standby whose wait was cancelled, a backend that hangs.

use giro_tests::{TestDatabase, TestServer, database::connect};
use serde_json::json;
use std::time::Duration;

/// Goes on although PostgreSQL has cancelled the statement, until the session is gone.
const HANG: &str = "echo := token;
    BEGIN PERFORM pg_sleep(30); EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(30); END;";

/// Replaces a line of `apply_transfers`; what it was is the answer.
pub(crate) async fn altered(database: &TestDatabase, line: &str, by: &str) -> String {
    let owner = connect(&database.owner_url).await;
    let definition = "SELECT pg_get_functiondef('giro.apply_transfers'::regproc)";
    let original: String = owner.query_one(definition, &[]).await.unwrap().get(0);
    assert_eq!(original.matches(line).count(), 1, "{line}");
    owner.batch_execute(&original.replace(line, by)).await.unwrap();
    original
}

#[tokio::test]
async fn a_result_that_cannot_be_trusted_is_unknown_until_it_can() {
    for (line, by, cause) in [
        ("echo := token;", "echo := token + 1;", "echo"),
        ("result_ids := ids;", "result_ids := ids[2:] || ids[1];", "echo"),
        ("-- Write in sets", "reasons := '{}'; -- Write in sets", "reply"),
        ("echo := token;", "echo := token; RAISE WARNING 'not replicated';", "warning"),
        ("echo := token;", HANG, "watchdog"),
    ] {
        let server = TestServer::configured(|config| {
            config.database.statement_timeout.0 = Duration::from_millis(1000);
            config.database.lock_timeout.0 = Duration::from_millis(500);
            config.batch.in_flight = 1;
            config.server.request_timeout.0 = Duration::from_secs(20);
            config.queue.max_wait.0 = Duration::from_secs(20);
            config.queue.target_wait.0 = Duration::from_secs(20);
        })
        .await;
        server.accounts(4).await;
        let original = altered(&server.database, line, by).await;
        let array = json!([
            {"id": 1, "debit_account": 1, "credit_account": 2, "amount": 1},
            {"id": 2, "debit_account": 3, "credit_account": 4, "amount": 2},
        ]);
        let patience = [("request-timeout-ms", "2600")];
        let reply =
            server.client.post_with("/transfers", &patience, &array.to_string()).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.outcome()),
            (504, "unknown"),
            "{cause}: {}",
            reply.text
        );
        let metric = format!(r#"giro_unknown_total{{cause="{cause}",function="apply_transfers"}}"#);
        assert!(server.metric(&metric).await >= 1.0, "{cause}");
        let owner = connect(&server.database.owner_url).await;
        owner.batch_execute(&original).await.unwrap();
        server.until_ready().await;
        let reply = server.client.post("/transfers", &array).await;
        for item in 0..2 {
            assert_eq!(reply.json[item]["outcome"], "applied", "{cause}: {}", reply.text);
        }
        server.database.assert_consistent().await;
    }
}

/// Rows of an older function, or of a clock that was wrong. They can only come in past the triggers.
#[tokio::test]
async fn a_moment_that_json_cannot_write_is_shown_as_the_nearest_and_holds_up_nobody() {
    let server = TestServer::start().await;
    server.accounts(3).await;
    let transfer =
        |id: u64| json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
    for id in [1, 2] {
        assert_eq!(server.client.post("/transfer", &transfer(id)).await.outcome(), "applied");
    }
    let odd = "ALTER TABLE giro.decisions DISABLE TRIGGER append_only_rows;
        UPDATE giro.decisions SET created_at = '1969-12-31 23:59:59+00' WHERE id::text LIKE '%1';
        UPDATE giro.decisions SET created_at = '12026-11-22 10:00:00+00' WHERE id::text LIKE '%2';
        ALTER TABLE giro.decisions ENABLE ALWAYS TRIGGER append_only_rows;
        UPDATE giro.account_state SET created_at = '-infinity' WHERE id::text LIKE '%3'";
    server.database.superuser().await.batch_execute(odd).await.unwrap();
    let (first, last) = ("1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z");

    // Repeated in one batch with another.
    let array = json!([transfer(1), transfer(2), transfer(3)]);
    let reply = server.client.post("/transfers", &array).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    for (item, replayed) in [(0, true), (1, true), (2, false)] {
        let is = &reply.json[item];
        assert_eq!((&is["outcome"], is["replayed"] == true), (&json!("applied"), replayed));
    }
    let read = [server.client.get("/transfers/1").await, server.client.get("/transfers/2").await];
    for (item, shown) in [first, last].into_iter().enumerate() {
        assert_eq!(reply.json[item]["created_at"], shown, "{}", reply.text);
        assert_eq!(read[item].json["created_at"], shown, "{}", read[item].text);
    }
    let reply = server.client.post("/accounts", &json!([{"id": 3}, {"id": 4}])).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.text.contains(first), "{}", reply.text);
    let unknown = r#"giro_unknown_total{cause="reply",function="apply_transfers"}"#;
    assert_eq!(server.metric(unknown).await, 0.0);
}

#[tokio::test]
async fn a_lock_time_out_is_retried_on_the_same_session() {
    let server = TestServer::configured(|config| {
        config.server.request_timeout.0 = Duration::from_secs(20);
        config.queue.max_wait.0 = Duration::from_secs(20);
        config.queue.target_wait.0 = Duration::from_secs(20);
        config.database.lock_timeout.0 = Duration::from_millis(500);
    })
    .await;
    server.accounts(2).await;
    let holder = server.database.superuser().await;
    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    holder.batch_execute(lock).await.unwrap();
    let client = server.client;
    let sent = [1, 2].map(|id| {
        let body = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        tokio::spawn(async move { client.post("/transfer", &body).await })
    });
    giro_tests::eventually("a lock time-out", async || {
        let errors = r#"giro_db_errors_total{severity="ERROR",sqlstate="55P03"}"#;
        server.metric(errors).await >= 2.0
    })
    .await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    for sent in sent {
        let reply = sent.await.unwrap();
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    }
    assert_eq!(
        server.metric(r#"giro_unknown_total{cause="session",function="apply_transfers"}"#).await,
        0.0
    );
    assert!(server.metric(r#"giro_retries_total{batcher="transfers"}"#).await >= 1.0);
    server.database.assert_consistent().await;
}
