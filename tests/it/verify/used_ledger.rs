//! The ledger that the audits look at.

use giro_tests::{Client, TestDatabase, TestServer, eventually};
use serde_json::{Value, json};

/// A ledger in which every rule has been at work, and nobody is any more.
pub(crate) async fn used_ledger() -> TestDatabase {
    let server = TestServer::start().await;
    let client = &server.client;
    let accounts = json!([
        {"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}, {"id": 5}, {"id": 6}, {"id": 7}, {"id": 8},
        {"id": 10, "flags": ["debits_must_not_exceed_credits"], "overdraft_limit": 50},
        {"id": 11, "flags": ["credits_must_not_exceed_debits"]},
        {"id": 12, "flags": ["history"]},
        {"id": 13, "flags": ["history", "debits_must_not_exceed_credits"]},
        {"id": 20, "flags": ["closed"]},
        {"id": 1, "ledger": 2}, {"id": 2, "ledger": 2},
    ]);
    judged(client, "/accounts", &accounts, "applied").await;
    let imported = json!([
        {"id": 30, "flags": ["imported", "history"], "timestamp": "2020-01-01T00:00:00Z"},
        {"id": 31, "flags": ["imported"], "timestamp": "2020-01-01T00:00:01Z"},
    ]);
    judged(client, "/accounts", &imported, "applied").await;
    let imported = json!([
        with(
            transfer(300, 30, 31, 9),
            json!({"flags": ["imported"], "timestamp": "2021-01-01T00:00:00Z"})
        ),
        with(
            transfer(301, 31, 30, 4),
            json!({"flags": ["imported"], "timestamp": "2021-01-01T00:00:01Z"})
        ),
    ]);
    judged(client, "/transfers", &imported, "applied").await;

    let apply = async |transfers: Value| judged(client, "/transfers", &transfers, "applied").await;
    // Money for the limited accounts; all of the overdraft; accounts with history.
    apply(json!([transfer(100, 1, 10, 100), transfer(101, 11, 1, 70), transfer(102, 1, 12, 30)]))
        .await;
    apply(json!([transfer(103, 10, 2, 150)])).await;
    apply(json!([transfer(104, 12, 13, 10), transfer(105, 13, 12, 7), transfer(106, 2, 12, 1)]))
        .await;
    apply(json!([transfer(107, 30, 31, 5)])).await;
    apply(json!([with(transfer(108, 1, 2, 8), json!({"ledger": 2}))])).await;
    apply(json!([with(transfer(109, 10, 3, 90), json!({"flags": ["balancing_debit"]}))])).await;
    judged(client, "/transfers", &json!([transfer(103, 10, 2, 150)]), "applied").await;
    // Refused for good: over the limit, from nowhere, to a closed account.
    let refused =
        json!([transfer(110, 10, 2, 40), transfer(111, 99, 2, 1), transfer(112, 1, 20, 3)]);
    judged(client, "/transfers", &refused, "rejected").await;

    // Holds: posted in part and in full, voided, expired, open.
    apply(json!([
        hold(120, 1, 12, 20),
        hold(121, 1, 2, 21),
        hold(122, 12, 2, 3),
        hold(123, 3, 4, 23)
    ]))
    .await;
    apply(json!([post(130, 120, Some(15)), post(131, 121, None), void(132, 122)])).await;
    apply(json!([
        with(hold(124, 12, 2, 24), json!({"timeout": 1})),
        with(hold(125, 1, 12, 25), json!({"timeout": 1, "flags": ["pending", "closing_debit"]}))
    ]))
    .await;
    expire(&server.database, 2).await;
    apply(json!([with(hold(126, 1, 2, 26), json!({"timeout": 3600}))])).await;
    judged(client, "/transfers", &json!([post(133, 124, None)]), "rejected").await;

    // Chains: whole, broken and burnt, and one of holds that is resolved as one.
    let linked = |transfer: Value| {
        let mut flags = transfer["flags"].as_array().cloned().unwrap_or_default();
        flags.push("linked".into());
        with(transfer, json!({ "flags": flags }))
    };
    apply(json!([
        linked(transfer(140, 1, 2, 5)),
        linked(transfer(141, 2, 12, 5)),
        transfer(142, 12, 3, 5)
    ]))
    .await;
    let broken = json!([linked(transfer(143, 1, 2, 5)), transfer(144, 10, 2, 1000)]);
    judged(client, "/transfers", &broken, "rejected").await;
    apply(json!([
        linked(hold(145, 1, 2, 6)),
        linked(transfer(146, 1, 3, 6)),
        linked(hold(147, 12, 2, 7)),
        hold(148, 3, 4, 8)
    ]))
    .await;
    apply(json!([with(post(149, 145, None), json!({"scope": "chain"}))])).await;

    // Closing: one account open again, one closed.
    let closing = json!({"flags": ["pending", "closing_credit"]});
    apply(json!([with(hold(150, 1, 5, 0), closing.clone()), with(hold(151, 1, 6, 0), closing)]))
        .await;
    judged(client, "/transfers", &json!([transfer(152, 1, 5, 1)]), "rejected").await;
    apply(json!([void(153, 150)])).await;
    apply(json!([transfer(154, 1, 5, 1), transfer(155, 7, 8, 12)])).await;
    server.stop().await.1
}

pub(super) fn transfer(id: u64, debit: u64, credit: u64, amount: u64) -> Value {
    json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": amount})
}

pub(super) fn hold(id: u64, debit: u64, credit: u64, amount: u64) -> Value {
    with(transfer(id, debit, credit, amount), json!({"flags": ["pending"]}))
}

pub(super) fn post(id: u64, hold: u64, amount: Option<u64>) -> Value {
    let post = json!({"id": id, "pending_id": hold, "flags": ["post_pending"]});
    amount.map_or(post.clone(), |amount| with(post, json!({ "amount": amount })))
}

pub(super) fn void(id: u64, hold: u64) -> Value {
    json!({"id": id, "pending_id": hold, "flags": ["void_pending"]})
}

pub(super) fn with(mut value: Value, more: Value) -> Value {
    let fields = value.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    value
}

/// Sends items and asserts what became of every one.
pub(super) async fn judged(client: &Client, path: &str, items: &Value, outcome: &str) {
    let reply = client.post(path, items).await;
    let results = reply.json.as_array().unwrap_or_else(|| panic!("{}", reply.text));
    assert_eq!(results.len(), items.as_array().expect("items").len());
    for (item, result) in items.as_array().expect("items").iter().zip(results) {
        assert_eq!(result["outcome"], outcome, "{item} gives {result}");
    }
}

/// Waits until so many holds have expired and are released, by whomever.
async fn expire(database: &TestDatabase, count: i64) {
    let session = database.superuser().await;
    eventually("the holds are released", async || {
        session.execute("SELECT giro.expire_holds(0, 'test')", &[]).await.expect("a release");
        database.number("SELECT count(*) FROM giro.expired_holds").await == count
    })
    .await;
}
