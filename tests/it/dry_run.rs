//! A dry run says what would happen, changes nothing, and takes nobody's place.

use crate::stalled::{Stalled, transfer};
use giro_tests::{Reply, TestDatabase, TestServer, eventually};
use serde_json::{Value, json};
use tokio_postgres::Client;

/// A number for the content of each table, and one for the number of the next batch.
async fn content(database: &TestDatabase) -> Vec<(String, String)> {
    let superuser = database.superuser().await;
    let tables = "SELECT relname::text FROM pg_class
                   WHERE relnamespace = 'giro'::regnamespace AND relkind = 'r' ORDER BY 1";
    let mut content = Vec::new();
    for row in superuser.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let sum = format!(
            "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM giro.{table} t"
        );
        content.push((table, superuser.query_one(&sum, &[]).await.unwrap().get(0)));
    }
    assert!(content.len() > 8, "the tables: {content:?}");
    let batch = "SELECT last_value::text || is_called FROM giro.batch_id";
    let batch = superuser.query_one(batch, &[]).await.unwrap().get(0);
    content.push(("batch_id".into(), batch));
    content
}

/// What a real run answers, but for what only that has.
fn without_record(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let fields = answer.as_object_mut().expect("an object");
    for field in ["dry_run", "seq", "created_at"] {
        fields.remove(field);
    }
    answer
}

async fn start() -> TestServer {
    let server = TestServer::start().await;
    let accounts = json!([
        {"id": 1},
        {"id": 2, "flags": ["history"]},
        {"id": 3, "flags": ["debits_must_not_exceed_credits"]},
    ]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    for transfer in [
        json!({"id": 1, "debit_account": 1, "credit_account": 3, "amount": 100}),
        json!({"id": 2, "debit_account": 3, "credit_account": 2, "amount": 40,
               "flags": ["pending"], "timeout": 3600, "code": 7}),
    ] {
        assert_eq!(server.client.post("/transfer", &transfer).await.outcome(), "applied");
    }
    server
}

#[tokio::test]
async fn a_dry_run_answers_as_the_real_one_would_and_changes_nothing() {
    let server = start().await;
    let before = content(&server.database).await;
    let pay = |id: u32, amount: u32, flags: &[&str]| json!({"id": id, "debit_account": 3, "credit_account": 2, "amount": amount, "flags": flags});
    let requests = [
        json!([pay(10, 50, &[]), pay(11, 20, &[]), pay(12, 10, &[])]),
        json!([{"id": 13, "pending_id": 2, "flags": ["post_pending"], "amount": 15},
               {"id": 14, "pending_id": 2, "flags": ["void_pending"]}]),
        json!([pay(15, 5, &["linked"]), pay(16, 1000, &["linked"]), pay(17, 5, &[])]),
        json!([pay(18, 1000, &["balancing_debit"]), {"id": 1, "debit_account": 1, "credit_account": 3, "amount": 100}]),
        json!([{"id": 19, "debit_account": 1, "credit_account": 9, "amount": 1}, pay(20, 5, &["pending"])]),
        json!([{"id": 21, "debit_account": 1, "credit_account": 2, "amount": 1, "flags": ["imported"],
                "timestamp": "2200-01-01T00:00:00Z"}]),
    ];
    for request in &requests {
        let mut reply = server.client.post("/transfers?dry_run=true", request).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        for answer in reply.json.as_array_mut().unwrap() {
            assert_eq!(answer["dry_run"], true, "{answer}");
            assert_eq!((answer.get("seq"), answer.get("created_at")), (None, None), "{answer}");
        }
        assert_eq!(content(&server.database).await, before, "after {request}");
        // Each by itself, against the live balances.
        for item in request.as_array().unwrap() {
            let one = server.client.post("/transfer?dry_run=true", item).await;
            assert_eq!(one.json["dry_run"], true, "{}", one.text);
            assert!([200, 422].contains(&one.status.as_u16()), "{}", one.text);
        }
    }
    assert_eq!(content(&server.database).await, before);
    for request in &requests {
        let dry = server.client.post("/transfers?dry_run=true", request).await.json;
        let real = server.client.post("/transfers?dry_run=false", request).await.json;
        let (dry, real) = (dry.as_array().unwrap(), real.as_array().unwrap());
        assert_eq!(dry.len(), real.len());
        for (dry, real) in dry.iter().zip(real) {
            assert_eq!(without_record(dry), without_record(real));
            assert_eq!(real.get("dry_run"), None);
        }
    }
    let counted = server.metric(r#"giro_transfers_total{outcome="applied",reason=""}"#).await;
    let applied = "SELECT count(*) FROM giro.transfers";
    assert_eq!(counted as i64 - 1, server.database.number(applied).await, "and one replay");
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn what_a_dry_run_refuses_is_not_burnt() {
    let server = start().await;
    let pay = json!({"id": 10, "debit_account": 3, "credit_account": 2, "amount": 500});
    let reply = server.client.post("/transfer?dry_run=true", &pay).await;
    assert_eq!((reply.status.as_u16(), reply.outcome()), (422, "rejected"), "{}", reply.text);
    assert_eq!((reply.reason(), &reply.json["dry_run"]), ("exceeds_credits", &json!(true)));
    assert_eq!(server.client.get("/transfers/10").await.outcome(), "", "nothing is known of it");
    let fund = json!({"debit_account": 1, "credit_account": 3, "amount": 500});
    assert_eq!(server.client.post("/transfer", &fund).await.outcome(), "applied");
    let reply = server.client.post("/transfer?dry_run=true", &pay).await;
    assert_eq!((reply.outcome(), reply.json.get("replayed")), ("applied", None));
    let reply = server.client.post("/transfer", &pay).await;
    assert_eq!((reply.outcome(), reply.json.get("replayed")), ("applied", None), "{}", reply.text);
    let reply = server.client.post("/transfer?dry_run=true", &pay).await;
    assert_eq!(reply.json["replayed"], true, "now it would be a replay");
}

#[tokio::test]
async fn a_dry_run_waits_for_no_lane_and_for_no_lock_of_an_account() {
    let stalled = Stalled::new().await;
    let batches = "SELECT count(*) FROM giro.batches";
    let before = stalled.server.database.number(batches).await;
    let reply = stalled.server.client.post("/transfer?dry_run=true", &transfer(7)).await;
    assert_eq!((reply.status.as_u16(), reply.outcome()), (200, "applied"), "{}", reply.text);
    let many = json!([transfer(7), transfer(8)]);
    let reply = stalled.server.client.post("/transfers?dry_run=true", &many).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    stalled.queued(0.0).await;
    assert_eq!(stalled.server.database.number(batches).await, before);
    stalled.go_on().await;
    for sent in stalled.in_flight {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
}

#[tokio::test]
async fn one_dry_run_at_a_time_and_the_others_wait_no_longer_than_they_may() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let post = |timeout: &'static str| {
        let client = server.client;
        async move {
            let headers = [("request-timeout-ms", timeout)];
            let body = transfer(7).to_string();
            client.post_with("/transfer?dry_run=true", &headers, &body).await.unwrap()
        }
    };
    let holder = server.database.superuser().await;
    // Held up in the middle of its judgement.
    holder.batch_execute("BEGIN; LOCK giro.account_state").await.unwrap();
    let first = tokio::spawn(post("20000"));
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE wait_event_type = 'Lock' AND application_name = 'giro reader'
                      AND datname = current_database()";
    eventually("the first is being judged", async || server.database.number(waiting).await == 1)
        .await;
    let second: Reply = post("200").await;
    assert_eq!((second.status.as_u16(), second.reason()), (503, "deadline"), "{}", second.text);
    assert_eq!(second.outcome(), "not_applied");
    assert_eq!((second.header("retry-after"), &second.json["dry_run"]), ("1", &json!(true)));
    assert_eq!(server.database.number(waiting).await, 1, "only one is being judged");
    assert_eq!(server.client.get("/transfers").await.status, 200, "reads go on");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(post("2000").await.status, 200, "and the next one has its turn");
}

#[tokio::test]
async fn a_parameter_of_a_post_is_dry_run_of_transfers_or_an_error() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    for (path, field) in [
        ("/transfer?dry_run=1", "dry_run"),
        ("/transfer?dry_run=", "dry_run"),
        ("/transfer?dry_run=true&dry_run=true", "dry_run"),
        ("/transfers?dry_run=yes", "dry_run"),
        ("/transfer?dryrun=true", "dryrun"),
        ("/transfers?ledger=1", "ledger"),
        ("/account?dry_run=true", "dry_run"),
        ("/accounts?dry_run=false", "dry_run"),
        ("/accounts?x", "x"),
    ] {
        let body = if path.starts_with("/t") { transfer(7) } else { json!({"id": 9}) };
        let body = if path.contains("s?") { json!([body]) } else { body };
        let reply = server.client.post(path, &body).await;
        assert_eq!((reply.status.as_u16(), reply.outcome()), (400, "not_applied"), "{path}");
        assert_eq!(reply.json["field"], field, "{path}: {}", reply.text);
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
    assert_eq!(server.client.get("/accounts/9").await.status, 404);
}

/// Makes every dry run last until nobody holds the advisory lock 99.
async fn hold_up(server: &TestServer) -> Client {
    let superuser = server.database.superuser().await;
    let definition = "SELECT pg_get_functiondef('giro.apply_transfers'::regproc)";
    let source: String = superuser.query_one(definition, &[]).await.unwrap().get(0);
    let held =
        source.replace("echo := token;", "PERFORM pg_advisory_lock_shared(99); echo := token;");
    superuser.batch_execute(&held).await.unwrap();
    superuser.batch_execute("SELECT pg_advisory_lock(99)").await.unwrap();
    superuser
}

#[tokio::test]
async fn a_dry_run_whose_caller_has_given_up_keeps_its_turn_until_its_statement_ends() {
    let server = TestServer::configured(crate::stalled::patient).await;
    server.accounts(2).await;
    let superuser = hold_up(&server).await;
    let soon = [("request-timeout-ms", "300")];
    let body = transfer(1).to_string();
    let running = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'giro reader'
                      AND wait_event_type = 'Lock'";
    for _ in 0..3 {
        let reply = server.client.post_with("/transfer?dry_run=true", &soon, &body).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.reason()), (503, "deadline"), "{}", reply.text);
        assert_eq!(server.database.number(running).await, 1, "the first one's statement alone");
    }
    superuser.batch_execute("SELECT pg_advisory_unlock(99)").await.unwrap();
    let reply = server.client.post("/transfer?dry_run=true", &transfer(1)).await;
    assert_eq!((reply.status.as_u16(), reply.outcome()), (200, "applied"), "{}", reply.text);
}

#[tokio::test]
async fn one_dry_run_at_a_time_few_wait_and_the_rest_are_refused_at_once() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let superuser = hold_up(&server).await;
    let transfer = json!({"id": 1, "debit_account": 1, "credit_account": 2, "amount": 1});
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..18 {
        let (client, transfer) = (server.client, transfer.clone());
        sent.spawn(async move { client.post("/transfer?dry_run=true", &transfer).await });
    }
    // One runs, sixteen wait; whoever is left is the only one that can be answered now.
    let refused = sent.join_next().await.unwrap().unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.reason()),
        (503, "queue_full"),
        "{}",
        refused.text
    );
    assert_eq!(refused.json["dry_run"], true);
    superuser.batch_execute("SELECT pg_advisory_unlock(99)").await.unwrap();
    while let Some(reply) = sent.join_next().await {
        let reply = reply.unwrap();
        assert_eq!((reply.status.as_u16(), reply.outcome()), (200, "applied"), "{}", reply.text);
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
}
