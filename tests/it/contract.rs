//! Outcomes, status codes and bodies.

use giro_tests::{Reply, TestServer};
use hyper::Method;
use serde_json::{Value, json};

fn assert_problem(reply: &Reply, status: u16, outcome: &str) {
    assert_eq!(reply.status, status, "{:.500}", reply.text);
    assert_eq!(reply.header("content-type"), "application/problem+json", "{}", reply.text);
    assert_eq!(reply.outcome(), outcome, "{}", reply.text);
    assert_eq!(reply.json["status"], status, "{}", reply.text);
    for field in ["type", "title", "detail"] {
        assert!(reply.json[field].is_string(), "no {field}: {}", reply.text);
    }
    for leak in ["SELECT", "giro.", "plpgsql", "127.0.0.1", "/src/", "socket"] {
        assert!(!reply.text.contains(leak), "{leak} in {}", reply.text);
    }
}

#[tokio::test]
async fn a_transfer_is_applied_and_read_back() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let id = "0192f0c1-2345-7000-8000-000000000001";
    let sent = json!({
        "id": id, "debit_account": 1, "credit_account": "2", "amount": "340282366920938463463374607431768211455",
        "code": 7, "reference": "order 1", "metadata": {"b": [1, null], "a": "x"},
    });
    let reply = server.client.post("/transfer", &sent).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/json");
    let body = &reply.json;
    assert_eq!(body["outcome"], "applied");
    assert_eq!(body.get("replayed"), None);
    assert_eq!(body["id"], id);
    assert_eq!(body["debit_account"], "00000000-0000-0000-0000-000000000001");
    assert_eq!(body["amount"], "340282366920938463463374607431768211455");
    assert_eq!(
        (&body["ledger"], &body["code"], &body["flags"]),
        (&json!(1), &json!(7), &json!([]))
    );
    assert_eq!((&body["reference"], &body["metadata"]), (&sent["reference"], &sent["metadata"]));
    assert!(body["seq"].as_str().is_some_and(|seq| seq.parse::<i64>().is_ok()), "{body}");
    assert!(body["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{body}");

    let mut read = server.client.get(&format!("/transfers/{id}")).await.json;
    read["outcome"] = json!("applied");
    assert_eq!(&read, body, "what is read is what was answered");
    let account = server.client.get("/accounts/1").await.json;
    assert_eq!(account["debits_posted"], body["amount"]);
    assert_eq!(account["version"], "1");
    assert_eq!(server.client.get("/accounts/2").await.json["credits_posted"], body["amount"]);
    assert_eq!(server.client.get("/accounts/2?ledger=2").await.status, 404);
}

#[tokio::test]
async fn an_account_is_created_once() {
    let server = TestServer::start().await;
    let sent = json!({
        "id": 5, "ledger": 3, "code": 9, "flags": ["credits_must_not_exceed_debits"],
        "overdraft_limit": 10, "reference": "r", "metadata": {"k": 1},
    });
    let first = server.client.post("/account", &sent).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(first.json["outcome"], "applied");
    assert_eq!(first.json["overdraft_limit"], "10");
    assert_eq!(first.json["flags"], json!(["credits_must_not_exceed_debits"]));
    let again = server.client.post("/account", &sent).await;
    assert_eq!(again.json["replayed"], true);
    assert_eq!(again.json["created_at"], first.json["created_at"]);
    let mut read = server.client.get("/accounts/5?ledger=3").await.json;
    read["outcome"] = json!("applied");
    assert_eq!(read, first.json);
    for (field, other, reason) in [
        ("flags", json!([]), "exists_with_different_flags"),
        ("reference", json!("s"), "exists_with_different_reference"),
        ("metadata", json!({}), "exists_with_different_metadata"),
        ("overdraft_limit", json!(11), "exists_with_different_overdraft_limit"),
        ("code", json!(8), "exists_with_different_code"),
    ] {
        let mut altered = sent.clone();
        altered[field] = other;
        let reply = server.client.post("/account", &altered).await;
        assert_problem(&reply, 422, "rejected");
        assert_eq!(reply.reason(), reason);
    }
    let without_id = server.client.post("/account", &json!({})).await.json;
    assert_eq!(without_id["id"].as_str().and_then(|id| id.chars().nth(14)), Some('7'), "a UUIDv7");
}

#[tokio::test]
async fn refusals_name_their_reason() {
    let server = TestServer::start().await;
    let limited = |id, flag| json!({"id": id, "flags": [flag], "overdraft_limit": 10});
    let accounts = json!([
        limited(1, "debits_must_not_exceed_credits"),
        limited(2, "credits_must_not_exceed_debits"),
        {"id": 3}, {"id": 4},
    ]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    let max = json!("340282366920938463463374607431768211455");
    let base = json!({"id": 100, "debit_account": 3, "credit_account": 4, "amount": 1});
    for (changes, reason) in [
        (json!({"id": 0}), "id_must_not_be_zero"),
        (json!({"id": max}), "id_must_not_be_max"),
        (
            json!({"flags": ["post_pending", "pending"], "pending_id": 1}),
            "flags_are_mutually_exclusive",
        ),
        (json!({"debit_account": 0}), "debit_account_must_not_be_zero"),
        (json!({"credit_account": max}), "credit_account_must_not_be_max"),
        (json!({"debit_account": 4}), "accounts_must_be_different"),
        (json!({"pending_id": 1}), "pending_id_must_be_absent"),
        (json!({"timeout": 1}), "timeout_reserved_for_pending_transfer"),
        (json!({"ledger": 0}), "ledger_must_not_be_zero"),
        (json!({"code": 0}), "code_must_not_be_zero"),
    ] {
        let mut transfer = base.clone();
        transfer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let reply = server.client.post("/transfer", &transfer).await;
        assert_problem(&reply, 422, "rejected");
        assert_eq!(reply.reason(), reason);
        assert_eq!(reply.json.get("replayed"), None, "{reason} leaves the id free");
    }
    // The id 100 is still free, and the refusals below depend on state: they burn theirs.
    assert_eq!(server.client.post("/transfer", &base).await.status, 200);
    for (n, (changes, reason)) in (200..).zip([
        (json!({"debit_account": 9}), "debit_account_not_found"),
        (json!({"credit_account": 9}), "credit_account_not_found"),
        (json!({"ledger": 2}), "debit_account_not_found"),
        (json!({"debit_account": 1, "amount": 11}), "exceeds_credits"),
        (json!({"credit_account": 2, "amount": 11}), "exceeds_debits"),
    ]) {
        let mut transfer = base.clone();
        transfer["id"] = json!(n);
        transfer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        for replayed in [None, Some(&json!(true))] {
            let reply = server.client.post("/transfer", &transfer).await;
            assert_problem(&reply, 422, "rejected");
            assert_eq!((reply.reason(), reply.json.get("replayed")), (reason, replayed));
        }
        let ledger = transfer.get("ledger").unwrap_or(&json!(1)).clone();
        let read = server.client.get(&format!("/transfers/{n}?ledger={ledger}")).await;
        assert_problem(&read, 404, "rejected");
        assert_eq!(read.reason(), reason);
    }
    // At the limit is not past it.
    let at_limit = json!({"debit_account": 1, "credit_account": 2, "amount": 10});
    assert_eq!(server.client.post("/transfer", &at_limit).await.status, 200);
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn an_array_is_answered_by_position() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let transfer = |id: u32, amount: Value| json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": amount});
    let mut missing = transfer(3, json!(1));
    missing["credit_account"] = json!(77);
    let array =
        json!([transfer(1, json!(5)), transfer(1, json!(6)), missing, transfer(1, json!(5))]);
    let reply = server.client.post("/transfers", &array).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let of = |i: usize, field: &str| reply.json[i][field].clone();
    assert_eq!((of(0, "outcome"), of(0, "replayed")), (json!("applied"), Value::Null));
    assert_eq!(
        (of(1, "outcome"), of(1, "reason")),
        (json!("rejected"), json!("exists_with_different_amount"))
    );
    assert_eq!(
        (of(2, "reason"), of(2, "id")),
        (json!("credit_account_not_found"), json!("00000000-0000-0000-0000-000000000003"))
    );
    assert_eq!((of(3, "outcome"), of(3, "replayed")), (json!("applied"), json!(true)));
    assert_eq!(of(3, "seq"), of(0, "seq"));
    assert_eq!(server.client.get("/accounts/1").await.json["version"], "1");
}

#[tokio::test]
async fn malformed_requests_name_the_field_and_change_nothing() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let long = "x".repeat(129);
    let wide = format!(r#"{{"k":"{}"}}"#, "x".repeat(4096));
    let with = |field: &str| {
        format!(r#"{{"id":1,"debit_account":1,"credit_account":2,"amount":1{field}}}"#)
    };
    let amount =
        |amount: &str| format!(r#"{{"debit_account":1,"credit_account":2,"amount":{amount}}}"#);
    for (body, field) in [
        ("".into(), None),
        ("{".into(), None),
        ("[]".into(), None),
        ("null".into(), None),
        (with("} x"), None),
        (with(r#","id":1"#), Some("id")),
        (with(r#","fnord":1"#), Some("fnord")),
        (with(r#","ledger":-1"#), Some("ledger")),
        (with(r#","ledger":2147483648"#), Some("ledger")),
        (with(r#","ledger":"1""#), Some("ledger")),
        (with(r#","code":65536"#), Some("code")),
        (with(r#","flags":["loud"]"#), Some("flags")),
        (with(r#","flags":"pending""#), Some("flags")),
        (with(r#","timeout":1.5"#), Some("timeout")),
        (with(r#","pending_id":"nix""#), Some("pending_id")),
        (with(r#","flags":["post_pending"]"#), Some("pending_id")),
        (with(&format!(r#","reference":"{long}""#)), Some("reference")),
        (with(r#","reference":"a\u0000b""#), Some("reference")),
        (with(r#","metadata":[1]"#), Some("metadata")),
        (with(r#","metadata":{"k":"\u0000"}"#), Some("metadata")),
        (with(r#","metadata":{"k":1e999}"#), Some("metadata")),
        (with(r#","metadata":{"k":"\u0000","k":1}"#), Some("metadata")),
        (with(&format!(r#","metadata":{wide}"#)), Some("metadata")),
        (amount("-1"), Some("amount")),
        (amount("1.0"), Some("amount")),
        (amount("1e3"), Some("amount")),
        (amount("340282366920938463463374607431768211456"), Some("amount")),
        (amount(r#""-1""#), Some("amount")),
        (amount(r#""""#), Some("amount")),
        (amount("NaN"), Some("amount")),
        (amount("true"), Some("amount")),
        (r#"{"debit_account":1,"credit_account":2}"#.into(), Some("amount")),
        (r#"{"debit_account":1,"amount":2}"#.into(), Some("credit_account")),
        (r#"{"id":"12345678-1234-1234-1234-12345678901","debit_account":1,"credit_account":2,"amount":1}"#.into(), Some("id")),
        (r#"{"id":"{12345678-1234-1234-1234-123456789012}","debit_account":1,"credit_account":2,"amount":1}"#.into(), Some("id")),
    ] {
        let reply = server.client.post_with("/transfer", &[], &body).await.unwrap();
        assert_problem(&reply, 400, "not_applied");
        assert_eq!(reply.json["field"].as_str(), field, "{body}: {}", reply.text);
        let detail = reply.json["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(field.unwrap_or_default()), "the text names it too: {detail}");
        // The same fault in an array names its place as well.
        if field.is_some() {
            let good = r#"{"id":9,"debit_account":1,"credit_account":2,"amount":1}"#;
            let array = format!("[{good},{body}]");
            let reply = server.client.post_with("/transfers", &[], &array).await.unwrap();
            assert_problem(&reply, 400, "not_applied");
            assert_eq!(reply.json["field"].as_str(), field, "{body}: {}", reply.text);
            assert_eq!(reply.json["index"], 1, "{body}: {}", reply.text);
        }
    }
    for array in [
        json!([]),
        json!(vec![json!({"debit_account": 1, "credit_account": 2, "amount": 1}); 1001]),
    ] {
        assert_problem(&server.client.post("/transfers", &array).await, 400, "not_applied");
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
}

#[tokio::test]
async fn what_is_not_a_request_for_us_is_told_so() {
    let server = TestServer::start().await;
    let client = &server.client;
    let plain = [("content-type", "text/plain")];
    let reply = client.send(Method::POST, "/transfer", &plain, "{}").await.unwrap();
    assert_problem(&reply, 415, "not_applied");
    let reply = client.send(Method::POST, "/transfer", &[], "{}").await.unwrap();
    assert_problem(&reply, 415, "not_applied");
    let large = " ".repeat(64 * 1024 + 1);
    assert_problem(&client.post_with("/transfer", &[], &large).await.unwrap(), 413, "not_applied");
    assert_problem(&client.get("/nothing").await, 404, "not_applied");
    let reply = client.get("/transfer").await;
    assert_problem(&reply, 405, "not_applied");
    assert_eq!(reply.header("allow"), "POST");
    let reply = client.send(Method::DELETE, "/accounts/1", &[], "").await.unwrap();
    assert_problem(&reply, 405, "not_applied");
    assert_eq!(reply.header("allow"), "GET,HEAD");
    for path in ["/accounts/x", "/accounts/1?ledger=0", "/accounts/1?ledger=x", "/accounts/1?x=1"] {
        assert_problem(&client.get(path).await, 400, "not_applied");
    }
    assert_eq!(client.get("/transfers/77").await.status, 404);
    for timeout in ["0", "30001", "x", "-1", "1.5", "+5", ""] {
        let headers = [("request-timeout-ms", timeout)];
        let reply = client.post_with("/transfer", &headers, "{}").await.unwrap();
        assert_problem(&reply, 400, "not_applied");
        assert_eq!(reply.json["field"], "Request-Timeout-Ms");
    }
}

#[tokio::test]
async fn the_idempotency_key_can_carry_the_id() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let id = "0192f0c1-2345-7000-8000-000000000009";
    let quoted = format!("\"{id}\"");
    let body = r#"{"debit_account":1,"credit_account":2,"amount":1}"#;
    let post = async |key: &str, body: &str| {
        server.client.post_with("/transfer", &[("idempotency-key", key)], body).await.unwrap()
    };
    let first = post(&quoted, body).await;
    assert_eq!((first.status.as_u16(), &first.json["id"]), (200, &json!(id)));
    assert_eq!(post(id, body).await.json["replayed"], true);
    let both = format!(r#"{{"id":"{id}","debit_account":1,"credit_account":2,"amount":1}}"#);
    assert_eq!(post(id, &both).await.json["replayed"], true);
    assert_problem(&post("5", &both).await, 400, "not_applied");
    assert_problem(&post("my key", body).await, 400, "not_applied");
    let array = format!("[{body}]");
    let key = [("idempotency-key", id)];
    let reply = server.client.post_with("/transfers", &key, &array).await.unwrap();
    assert_problem(&reply, 400, "not_applied");
}

#[tokio::test]
async fn metrics_and_health_are_told_on_the_other_listener() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let body = json!({"debit_account": 1, "credit_account": 2, "amount": 1});
    assert_eq!(server.client.post("/transfer", &body).await.status, 200);
    let reply = server.admin.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in reply.text.lines().filter(|line| !line.starts_with('#')) {
        let named = line.starts_with("giro_") || line.starts_with("process_");
        assert!(named, "not ours: {line}");
    }
    assert_eq!(server.metric(r#"giro_transfers_total{outcome="applied",reason=""}"#).await, 1.0);
    assert_eq!(server.metric(r#"giro_batch_items_count{batcher="transfers"}"#).await, 1.0);
    let requests = r#"giro_http_requests_total{route="/transfer",status="200"}"#;
    assert_eq!(server.metric(requests).await, 1.0);
    assert_eq!(server.admin.get("/livez").await.status, 200);
    assert_eq!(server.admin.get("/readyz").await.status, 200);
    assert_eq!(server.client.get("/metrics").await.status, 404, "callers do not see it");
    let id = [("x-request-id", "mine-1")];
    let reply = server.client.send(Method::GET, "/accounts/1", &id, "").await.unwrap();
    assert_eq!(reply.header("x-request-id"), "mine-1");
    assert!(!server.client.get("/accounts/1").await.header("x-request-id").is_empty());
}

#[tokio::test]
async fn accounts_are_checked_as_strictly_as_transfers() {
    let server = TestServer::start().await;
    for (body, field) in [
        (r#"[]"#, None),
        (r#"[1,1,1,[],0,null,null]"#, None),
        (r#"{"id":null}"#, Some("id")),
        (r#"{"id":-1}"#, Some("id")),
        (r#"{"balance":1}"#, Some("balance")),
        (r#"{"overdraft_limit":-1}"#, Some("overdraft_limit")),
        (r#"{"flags":["pending"]}"#, Some("flags")),
        (r#"{"ledger":-1}"#, Some("ledger")),
    ] {
        let reply = server.client.post_with("/account", &[], body).await.unwrap();
        assert_problem(&reply, 400, "not_applied");
        assert_eq!(reply.json["field"].as_str(), field, "{body}: {}", reply.text);
        let array = format!("[{{}},{body}]");
        let reply = server.client.post_with("/accounts", &[], &array).await.unwrap();
        assert_problem(&reply, 400, "not_applied");
        assert_eq!(reply.json["index"], 1, "{body}: {}", reply.text);
    }
    for (body, reason) in [
        (json!({"id": 0}), "id_must_not_be_zero"),
        (json!({"ledger": 0}), "ledger_must_not_be_zero"),
        (json!({"code": 0}), "code_must_not_be_zero"),
        (json!({"flags": ["linked"]}), "linked_event_chain_open"),
        (
            json!({"flags": ["debits_must_not_exceed_credits", "credits_must_not_exceed_debits"]}),
            "flags_are_mutually_exclusive",
        ),
    ] {
        let reply = server.client.post("/account", &body).await;
        assert_problem(&reply, 422, "rejected");
        assert_eq!(reply.reason(), reason);
    }
    assert_eq!(server.database.number("SELECT count(*) FROM giro.accounts").await, 0);
}

#[tokio::test]
async fn a_transfer_is_an_object_and_null_is_no_id() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let by_position = "[1,1,1,2,5,null,null,null,null,null,null]";
    let reply = server.client.post_with("/transfer", &[], by_position).await.unwrap();
    assert_problem(&reply, 400, "not_applied");
    let array = format!("[{by_position}]");
    let reply = server.client.post_with("/transfers", &[], &array).await.unwrap();
    assert_problem(&reply, 400, "not_applied");
    let lost = json!({"id": null, "debit_account": 1, "credit_account": 2, "amount": 1});
    let reply = server.client.post("/transfer", &lost).await;
    assert_problem(&reply, 400, "not_applied");
    assert_eq!(reply.json["field"], "id");
    assert_eq!(server.database.number("SELECT count(*) FROM giro.decisions").await, 0);
}

/// The reason of each item of an array, or "applied".
fn answers(reply: &Reply) -> Vec<&str> {
    let items = reply.json.as_array().expect("an array").iter();
    items.map(|item| item["reason"].as_str().unwrap_or("applied")).collect()
}

#[tokio::test]
async fn a_chain_is_not_half_applied() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let transfer = |id: u32, flags: Value| json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1, "flags": flags});
    let chain = json!([
        transfer(1, json!(["linked"])),
        {"id": 2, "pending_id": 9, "flags": ["linked", "post_pending", "pending"]},
        transfer(3, json!([])),
        transfer(4, json!([])),
    ]);
    let reply = server.client.post("/transfers", &chain).await;
    let failed = "linked_event_failed";
    assert_eq!(answers(&reply), [failed, "flags_are_mutually_exclusive", failed, "applied"]);
    let chain = json!([{"id": 7, "flags": ["linked"]}, {"id": 8, "code": 0}, {"id": 9}]);
    let reply = server.client.post("/accounts", &chain).await;
    assert_eq!(answers(&reply), [failed, "code_must_not_be_zero", "applied"]);
    assert_eq!(server.client.get("/accounts/7").await.status, 404);
}

#[tokio::test]
async fn what_does_not_fit_is_413_and_metadata_is_kept_to_the_letter() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let large = " ".repeat(1024 * 1024 + 1);
    let reply = server.client.post_with("/transfers", &[], &large).await.unwrap();
    assert_problem(&reply, 413, "not_applied");
    // A body that may be sent, of more than a batch may hold.
    let wide = json!({"k": "x".repeat(4000)});
    let transfer = json!({"debit_account": 1, "credit_account": 2, "amount": 1, "metadata": wide});
    let reply = server.client.post("/transfers", &json!(vec![transfer; 255])).await;
    assert_problem(&reply, 413, "not_applied");
    let exact = r#"{"id":5,"debit_account":1,"credit_account":2,"amount":1,"metadata":{"n":123456789012345678901234567890}}"#;
    assert_eq!(server.client.post_with("/transfer", &[], exact).await.unwrap().status, 200);
    let read = server.client.get("/transfers/5").await;
    assert!(read.text.contains("123456789012345678901234567890"), "{}", read.text);
}
