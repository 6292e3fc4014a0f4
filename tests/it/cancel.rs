//! A cancel settles an id for good: whoever asks afterwards, and wherever, is told the same.

use crate::direct::{apply, sqlstate, transfer as item};
use giro_ledger::{Id, Transfer};
use giro_tests::{Client, Reply, ServerProcess, TestDatabase, TestServer, database::connect};
use hyper::Method;
use serde_json::{Value, json};

fn transfer(id: u64) -> Value {
    json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 5, "reference": "r"})
}

async fn cancel(client: &Client, path: &str) -> Reply {
    client.send(Method::POST, &format!("/transfers/{path}"), &[], "").await.expect("an answer")
}

/// Status, outcome, reason, and whether it is a replay.
fn told(reply: &Reply) -> (u16, &str, &str, bool) {
    (reply.status.as_u16(), reply.outcome(), reply.reason(), reply.json["replayed"] == true)
}

#[tokio::test]
async fn an_id_that_was_never_decided_is_refused_for_good() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let client = &server.client;
    assert_eq!(told(&cancel(client, "7/cancel").await), (422, "rejected", "cancelled", false));
    assert_eq!(told(&cancel(client, "7/cancel").await), (422, "rejected", "cancelled", true));
    let late = client.post("/transfer", &transfer(7)).await;
    assert_eq!(told(&late), (422, "rejected", "cancelled", true), "{}", late.text);
    let read = client.get("/transfers/7").await;
    assert_eq!(told(&read), (404, "rejected", "cancelled", true), "{}", read.text);
    // In another ledger the id is another id.
    let other = cancel(client, "7/cancel?ledger=2").await;
    assert_eq!(told(&other), (422, "rejected", "cancelled", false));
    assert_eq!(client.get("/accounts/1").await.json["version"], "0");
    let cancelled = r#"giro_transfers_total{outcome="rejected",reason="cancelled"}"#;
    assert_eq!(server.metric(cancelled).await, 4.0, "as they were answered");
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn what_was_decided_before_is_the_answer_and_stays() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let client = &server.client;
    let hold = json!({"id": 8, "debit_account": 1, "credit_account": 2, "amount": 3,
                      "flags": ["pending"], "timeout": 3600, "metadata": {"k": 1}});
    let lost = json!({"id": 9, "debit_account": 1, "credit_account": 99, "amount": 3});
    assert_eq!(client.post("/transfer", &transfer(7)).await.outcome(), "applied");
    assert_eq!(client.post("/transfer", &hold).await.outcome(), "applied");
    assert_eq!(client.post("/transfer", &lost).await.reason(), "credit_account_not_found");
    for id in [7, 8] {
        let reply = cancel(client, &format!("{id}/cancel")).await;
        assert_eq!(told(&reply), (200, "applied", "", true), "{}", reply.text);
        let mut shown = reply.json.clone();
        shown.as_object_mut().unwrap().retain(|name, _| name != "outcome" && name != "replayed");
        assert_eq!(shown, client.get(&format!("/transfers/{id}")).await.json, "the whole transfer");
    }
    let burnt = cancel(client, "9/cancel").await;
    assert_eq!(told(&burnt), (422, "rejected", "credit_account_not_found", true));
    // It is not a void.
    let post = json!({"id": 10, "pending_id": 8, "flags": ["post_pending"]});
    assert_eq!(client.post("/transfer", &post).await.outcome(), "applied");
    assert_eq!(cancel(client, "8/cancel").await.json["state"], "posted");
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_cancel_that_the_database_raises_for_settles_nothing_and_says_so() {
    let server = TestServer::start().await;
    let superuser = server.database.superuser().await;
    let raise = "ALTER TABLE giro.decisions ADD CONSTRAINT refuses
                 CHECK (id <> '00000000-0000-0000-0000-000000000007')";
    superuser.batch_execute(raise).await.unwrap();
    let reply = cancel(&server.client, "7/cancel").await;
    assert_eq!(told(&reply), (503, "not_applied", "rolled_back", false), "{}", reply.text);
    assert_eq!(reply.json["id"], "00000000-0000-0000-0000-000000000007");
    assert!(reply.json["retry_after_ms"].is_u64() && !reply.header("retry-after").is_empty());
    superuser.batch_execute("ALTER TABLE giro.decisions DROP CONSTRAINT refuses").await.unwrap();
    let again = cancel(&server.client, "7/cancel").await;
    assert_eq!(told(&again), (422, "rejected", "cancelled", false), "{}", again.text);
}

#[tokio::test]
async fn a_cancel_is_an_id_and_a_ledger_and_nothing_else() {
    let server = TestServer::start().await;
    let client = &server.client;
    for (path, field) in [
        ("x/cancel", "id"),
        ("7/cancel?ledger=0", "ledger"),
        ("7/cancel?dry_run=true", "dry_run"),
        ("7/cancel?colour=red", "colour"),
    ] {
        let reply = cancel(client, path).await;
        assert_eq!(told(&reply), (400, "not_applied", "", false), "{path}: {}", reply.text);
        assert_eq!(reply.json["field"], field, "{path}");
    }
    for (id, reason) in
        [("0", "id_must_not_be_zero"), (&u128::MAX.to_string(), "id_must_not_be_max")]
    {
        let reply = cancel(client, &format!("{id}/cancel")).await;
        assert_eq!(told(&reply), (422, "rejected", reason, false));
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
    // A body is not read, whatever it is.
    let body = "x".repeat(300_000);
    let sent = client.send(Method::POST, "/transfers/7/cancel", &[], &body).await.unwrap();
    assert_eq!(sent.reason(), "cancelled", "{}", sent.text);
    assert_eq!(client.get("/transfers/7/cancel").await.status, 405);
    // In a transfer's flags it has no name.
    let named =
        json!({"id": 8, "debit_account": 1, "credit_account": 2, "amount": 1, "flags": ["cancel"]});
    assert_eq!(client.post("/transfer", &named).await.json["field"], "flags");
}

#[tokio::test]
async fn a_transfer_that_was_applied_but_cannot_be_read_is_not_called_cancelled() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    assert_eq!(server.client.post("/transfer", &transfer(7)).await.outcome(), "applied");
    let superuser = server.database.superuser().await;
    superuser.batch_execute("REVOKE SELECT ON giro.transfers FROM giro_server").await.unwrap();
    let reply = cancel(&server.client, "7/cancel").await;
    assert_eq!(told(&reply), (504, "unknown", "", false), "{}", reply.text);
    assert!(reply.json["detail"].as_str().unwrap().contains("had been applied"), "{}", reply.text);
    superuser.batch_execute("GRANT SELECT ON giro.transfers TO giro_server").await.unwrap();
    let reply = cancel(&server.client, "7/cancel").await;
    assert_eq!(told(&reply), (200, "applied", "", true), "{}", reply.text);
}

#[tokio::test]
async fn within_a_batch_the_first_of_transfer_and_cancel_decides() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let session = connect(&server.database.server_url).await;
    let cancel = |id: u32| Transfer::cancel(1, Id::from(u128::from(id)));
    let other = json!({"id": 7, "debit_account": 2, "credit_account": 1, "amount": 9});
    let requests = [
        vec![item(transfer(7))],
        vec![cancel(7)],
        vec![cancel(8)],
        vec![item(transfer(8))],
        vec![cancel(8)],
        vec![item(other)],
    ];
    let expected = [
        "applied",
        "=applied",
        "cancelled",
        "=cancelled",
        "=cancelled",
        "exists_with_different_debit_account",
    ];
    assert_eq!(apply(&session, &requests).await.unwrap(), expected);
    let again: Vec<_> = apply(&session, &requests).await.unwrap();
    assert_eq!(again[..5], ["=applied", "=applied", "=cancelled", "=cancelled", "=cancelled"]);
    // It is a request of its own: it must neither break a chain nor be undone with one.
    let together = [vec![item(transfer(9)), cancel(10)]];
    assert_eq!(sqlstate(apply(&session, &together).await), "22023");
    server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_and_a_cancel_on_two_servers_at_once_are_told_the_same() {
    let database = TestDatabase::new().await;
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let one = ServerProcess::start(program, &database).await;
    let two = ServerProcess::start(program, &database).await;
    let accounts = json!([{"id": 1}, {"id": 2}]);
    assert_eq!(one.client.post("/accounts", &accounts).await.status, 200);
    let mut winners = [0, 0];
    for id in 1..=400 {
        let path = format!("{id}/cancel");
        let body = transfer(id);
        let (sent, cancelled) =
            tokio::join!(one.client.post("/transfer", &body), cancel(&two.client, &path));
        match (told(&sent), told(&cancelled)) {
            ((200, "applied", "", false), (200, "applied", "", true)) => winners[0] += 1,
            ((422, _, "cancelled", true), (422, _, "cancelled", false)) => winners[1] += 1,
            other => panic!("{id}: {other:?}: {} {}", sent.text, cancelled.text),
        }
        // Whoever asks again is told the same, by either.
        let (again, cancelled) =
            tokio::join!(two.client.post("/transfer", &body), cancel(&one.client, &path));
        assert_eq!(again.outcome(), sent.outcome(), "{id}: {}", again.text);
        assert_eq!(cancelled.outcome(), sent.outcome(), "{id}: {}", cancelled.text);
    }
    assert_eq!(database.number("SELECT count(*) FROM giro.transfers").await, winners[0]);
    assert_eq!(database.number("SELECT count(*) FROM giro.rejections").await, winners[1]);
    // Or the two never met, and nothing was shown.
    let metrics = [one.admin.get("/metrics").await.text, two.admin.get("/metrics").await.text];
    let met = metrics
        .iter()
        .any(|text| text.contains("giro_db_errors_total{severity=\"ERROR\",sqlstate=\"23505\"}"));
    assert!(met, "no id was decided by the other server in between: {winners:?}");
    database.assert_consistent().await;
    database.assert_no_deadlock().await;
}
