//! What holds at every moment, whatever is asked for.

use super::{Ledger, hold, post, transfer, void};
use serde_json::json;

/// Some of everything that moves a balance.
async fn moved(ledger: &Ledger) {
    let accounts = json!([{"id": 1, "flags": ["history"]}, {"id": 2, "flags": ["history"]},
                          {"id": 3, "flags": ["history"]}]);
    ledger.accounts(accounts).await;
    let request = json!([
        transfer(10, json!({"amount": 5})),
        hold(11, json!({"amount": 7, "credit_account": 3})),
        hold(12, json!({"amount": 8, "debit_account": 2, "credit_account": 3})),
        hold(13, json!({"amount": 9, "debit_account": 3})),
        post(14, 11, json!({"amount": 4})),
        void(15, 12, json!({})),
        transfer(16, json!({"debit_account": 9})),
    ]);
    let answers = ledger.apply(request).await;
    assert_eq!(answers.iter().filter(|answer| *answer == "applied").count(), 6);
}

#[tokio::test]
async fn over_a_ledger_the_sums_of_debits_and_credits_are_equal_pending_and_posted_separately() {
    let ledger = Ledger::new().await;
    moved(&ledger).await;
    let mut sums = [0; 4];
    for account in 1..=3 {
        let balances = ledger.balances(account).await;
        sums.iter_mut().zip(balances).for_each(|(sum, balance)| *sum += balance);
    }
    assert_eq!(sums, [9, 9, 9, 9], "pending debits, posted debits, pending and posted credits");
}

#[tokio::test]
async fn posted_balances_only_grow_and_pending_ones_come_back() {
    let ledger = Ledger::new().await;
    moved(&ledger).await;
    let shrunk = "SELECT count(*) FROM (
        SELECT debits_posted < lag(debits_posted) OVER w OR credits_posted < lag(credits_posted) OVER w
                   AS posted,
               debits_pending < lag(debits_pending) OVER w AS pending
          FROM giro.balance_history WINDOW w AS (PARTITION BY account ORDER BY seq)) AS h WHERE ";
    assert_eq!(ledger.server.database.number(&format!("{shrunk} posted")).await, 0);
    assert_eq!(ledger.server.database.number(&format!("{shrunk} pending")).await, 2);
}

#[tokio::test]
async fn an_account_is_immutable_but_for_balances_version_and_closed() {
    let ledger = Ledger::new().await;
    let given = json!({"id": 1, "code": 7, "flags": ["history"], "overdraft_limit": 3,
                       "reference": "r", "metadata": {"k": 1}});
    ledger.accounts(json!([given, {"id": 2}])).await;
    let created = ledger.account(1).await;
    let close = json!({"amount": 0, "flags": ["pending", "closing_debit"]});
    let request = json!([transfer(10, json!({"amount": 5})), hold(11, close)]);
    assert_eq!(ledger.apply(request).await, ["applied"; 2]);
    let mut now = ledger.account(1).await;
    assert_eq!((&now["debits_posted"], &now["version"]), (&json!("5"), &json!("2")));
    assert_eq!(now["flags"], json!(["history", "closed"]));
    for field in ["debits_posted", "version", "flags"] {
        now[field] = created[field].clone();
    }
    assert_eq!(now, created);
}

#[tokio::test]
async fn a_transfer_is_never_changed_or_deleted() {
    let ledger = Ledger::new().await;
    moved(&ledger).await;
    let before = ledger.server.client.get("/transfers/10").await.json;
    let superuser = ledger.server.database.superuser().await;
    for statement in [
        "UPDATE giro.decisions SET amount = 6",
        "DELETE FROM giro.decisions",
        "TRUNCATE giro.decisions",
    ] {
        let error = superuser.batch_execute(statement).await.expect_err(statement);
        assert!(
            error.as_db_error().is_some_and(|e| e.message().contains("append-only")),
            "{error}"
        );
    }
    let other = ledger.one(transfer(10, json!({"amount": 6}))).await;
    assert_eq!(other["reason"], "exists_with_different_amount");
    assert_eq!(ledger.server.client.get("/transfers/10").await.json, before);
}

#[tokio::test]
async fn ledger_and_code_go_from_one_to_their_largest_and_no_further() {
    let ledger = Ledger::new().await;
    let largest = json!({"ledger": 2_147_483_647, "code": 65_535});
    ledger
        .accounts(json!([
            super::with(&json!({"id": 1}), largest.clone()),
            super::with(&json!({"id": 2}), largest.clone())
        ]))
        .await;
    assert_eq!(ledger.apply(json!([transfer(10, largest)])).await, ["applied"]);
    for (field, value) in [("ledger", json!(2_147_483_648_u64)), ("code", json!(65_536))] {
        let reply =
            ledger.server.client.post("/transfer", &transfer(11, json!({field: value}))).await;
        assert_eq!(
            (reply.status.as_u16(), reply.outcome()),
            (400, "not_applied"),
            "{}",
            reply.text
        );
        assert_eq!(reply.json["field"], field);
    }
}

#[tokio::test]
async fn the_same_id_in_another_ledger_is_another_account_and_another_transfer() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    ledger.accounts(json!([{"id": 1, "ledger": 2, "code": 9}, {"id": 2, "ledger": 2}])).await;
    let request = json!([transfer(10, json!({})), transfer(10, json!({"ledger": 2, "amount": 5}))]);
    assert_eq!(ledger.apply(request).await, ["applied"; 2]);
    assert_eq!(ledger.balances(1).await, [0, 1, 0, 0]);
}

#[tokio::test]
async fn limits_are_checked_when_the_hold_is_made_and_not_again_when_it_is_posted() {
    let ledger = Ledger::new().await;
    let limited = json!(["debits_must_not_exceed_credits"]);
    ledger.accounts(json!([{"id": 1, "flags": limited, "overdraft_limit": 10}, {"id": 2}])).await;
    let request = json!([
        hold(10, json!({"amount": 10})),
        hold(11, json!({})),
        // A second check would count the amount with itself.
        post(12, 10, json!({})),
        transfer(13, json!({})),
    ]);
    let expected = ["applied", "exceeds_credits", "applied", "exceeds_credits"];
    assert_eq!(ledger.apply(request).await, expected);
    assert_eq!(ledger.balances(1).await, [0, 10, 0, 0]);
}

#[tokio::test]
async fn the_order_of_an_accounts_changes_is_the_order_of_their_commits() {
    let ledger = Ledger::configured(|config| config.database.lanes = 3).await;
    ledger.accounts(json!([{"id": 1, "flags": ["history"]}, {"id": 2}])).await;
    let client = ledger.server.client;
    let sent: Vec<_> = (100..160)
        .map(|id| {
            tokio::spawn(async move { client.post("/transfer", &transfer(id, json!({}))).await })
        })
        .collect();
    for sent in sent {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
    // Each batch judged what the one before it had committed: no change was made upon an older state.
    let disorder = "SELECT count(*) FROM (
        SELECT version <> row_number() OVER (ORDER BY seq) AS gap,
               debits_posted <= lag(debits_posted) OVER (ORDER BY seq) AS back
          FROM giro.balance_history WHERE account::text LIKE '%1') AS h WHERE gap OR back";
    assert_eq!(ledger.server.database.number(disorder).await, 0);
    assert_eq!(ledger.account(1).await["version"], "60");
    ledger.server.database.assert_no_deadlock().await;
    ledger.server.database.assert_consistent().await;
}
