//! "Balancing" and "Closing".

use super::{Ledger, MAX, hold, post, transfer, void};
use serde_json::{Value, json};

/// Account 3 may not be debited beyond its credits and an overdraft of 5, account 4 not be credited beyond
/// its debits; both have 10 to go.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger
        .accounts(json!([
            {"id": 1}, {"id": 2},
            {"id": 3, "flags": ["debits_must_not_exceed_credits"], "overdraft_limit": 5},
            {"id": 4, "flags": ["credits_must_not_exceed_debits"]},
        ]))
        .await;
    let backing = json!([
        transfer(10, json!({"credit_account": 3, "amount": 8})),
        hold(11, json!({"debit_account": 3, "amount": 3})),
        transfer(12, json!({"debit_account": 4, "amount": 10})),
    ]);
    assert_eq!(ledger.apply(backing).await, ["applied"; 3]);
    ledger
}

/// The amount that a balancing transfer gets.
async fn balanced(
    ledger: &Ledger,
    id: u32,
    debit: u32,
    credit: u32,
    flags: &[&str],
    amount: Value,
) -> String {
    let accounts = json!({"debit_account": debit, "credit_account": credit});
    let changes = json!({"flags": flags, "amount": amount});
    let reply = ledger.one(super::with(&transfer(id, accounts), changes)).await;
    assert_eq!(reply["outcome"], "applied", "zero is a success: {reply}");
    reply["amount"].as_str().expect("an amount").to_owned()
}

#[tokio::test]
async fn balancing_debit_takes_at_most_what_the_debit_account_has() {
    let ledger = ledger().await;
    // credits_posted + overdraft_limit - debits_posted - debits_pending = 8 + 5 - 0 - 3
    assert_eq!(balanced(&ledger, 20, 3, 2, &["balancing_debit"], json!(4)).await, "4");
    assert_eq!(balanced(&ledger, 21, 3, 2, &["balancing_debit", "pending"], json!(4)).await, "4");
    assert_eq!(balanced(&ledger, 22, 3, 2, &["balancing_debit"], json!(MAX)).await, "2");
    assert_eq!(balanced(&ledger, 23, 3, 2, &["balancing_debit"], json!(MAX)).await, "0");
    assert_eq!(ledger.balances(3).await, [7, 6, 0, 8]);
    // The stored amount is the actual one.
    assert_eq!(ledger.server.client.get("/transfers/22").await.json["amount"], "2");
    // It needs no limit on the account.
    assert_eq!(balanced(&ledger, 24, 2, 3, &["balancing_debit"], json!(99)).await, "16");
    assert_eq!(balanced(&ledger, 25, 2, 1, &["balancing_debit"], json!(99)).await, "0");
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn balancing_credit_is_mirrored_and_both_take_the_smaller() {
    let ledger = ledger().await;
    assert_eq!(balanced(&ledger, 20, 1, 4, &["balancing_credit"], json!(7)).await, "7");
    assert_eq!(
        balanced(&ledger, 21, 3, 4, &["balancing_debit", "balancing_credit"], json!(99)).await,
        "3"
    );
    assert_eq!(
        balanced(&ledger, 22, 3, 4, &["balancing_debit", "balancing_credit"], json!(99)).await,
        "0"
    );
    assert_eq!(ledger.balances(4).await, [0, 10, 0, 10]);
    assert_eq!(ledger.balances(3).await, [3, 3, 0, 8]);
    assert_eq!(balanced(&ledger, 23, 3, 2, &["balancing_debit"], json!(99)).await, "7");
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn balancing_is_applied_before_overflow_and_limit_checks() {
    let ledger = ledger().await;
    // 2^128-1 would overflow, and exceed either limit.
    assert_eq!(balanced(&ledger, 20, 3, 4, &["balancing_debit"], json!(MAX)).await, "10");
    let one_more = transfer(21, json!({"debit_account": 3, "flags": ["balancing_credit"]}));
    assert_eq!(
        ledger.apply(json!([one_more])).await,
        ["applied"],
        "the credit account lacks nothing"
    );
    assert_eq!(ledger.server.client.get("/transfers/21").await.json["amount"], "0");
    let accounts = json!([{"id": 5, "overdraft_limit": MAX}, {"id": 6}]);
    ledger.accounts(accounts).await;
    // More than any amount is there, and yet no more than any amount moves.
    let debit_5 = json!({"debit_account": 5, "credit_account": 6, "amount": 3});
    let credit_5 = json!({"debit_account": 6, "credit_account": 5, "amount": 9});
    assert_eq!(
        ledger.apply(json!([transfer(22, credit_5), transfer(23, debit_5)])).await,
        ["applied"; 2]
    );
    let largest = (u128::MAX - 3).to_string();
    assert_eq!(balanced(&ledger, 24, 5, 6, &["balancing_debit"], json!(largest)).await, largest);
    let more = json!({"debit_account": 5, "credit_account": 6, "flags": ["balancing_debit"]});
    assert_eq!(ledger.apply(json!([transfer(25, more)])).await, ["overflows_debits_posted"]);
}

#[tokio::test]
async fn closing_refuses_transfers_and_posts_until_its_hold_is_voided() {
    for (flag, closed, open) in [("closing_debit", 1, 2), ("closing_credit", 2, 1)] {
        let ledger = ledger().await;
        let request = json!([
            hold(20, json!({"amount": 5})),
            hold(21, json!({"amount": 6})),
            hold(22, json!({"amount": 0, "flags": ["pending", flag]})),
        ]);
        assert_eq!(ledger.apply(request).await, ["applied"; 3]);
        assert!(ledger.is_closed(closed).await && !ledger.is_closed(open).await);
        let again = ledger.server.client.post("/account", &json!({"id": closed})).await;
        assert_eq!(
            (&again.json["replayed"], &again.json["flags"]),
            (&json!(true), &json!(["closed"]))
        );
        let refused = match closed {
            1 => "debit_account_already_closed",
            _ => "credit_account_already_closed",
        };
        let mirrored = match closed {
            1 => "credit_account_already_closed",
            _ => "debit_account_already_closed",
        };
        let request = json!([
            transfer(30, json!({})),
            hold(31, json!({})),
            transfer(32, json!({"debit_account": 2, "credit_account": 1})),
            post(33, 20, json!({})),
            post(34, 22, json!({})),
            void(35, 21, json!({})),
            void(36, 22, json!({})),
            transfer(37, json!({})),
            post(38, 20, json!({})),
        ]);
        let expected = [
            refused, refused, mirrored, refused, refused, "applied", "applied", "applied",
            "applied",
        ];
        assert_eq!(ledger.apply(request).await, expected, "{flag}");
        assert!(!ledger.is_closed(closed).await, "open again");
        ledger.server.database.assert_consistent().await;
    }
}

#[tokio::test]
async fn an_account_can_be_created_closed() {
    let ledger = ledger().await;
    ledger.accounts(json!([{"id": 7, "flags": ["closed"]}])).await;
    assert!(ledger.is_closed(7).await);
    let transfer = transfer(20, json!({"debit_account": 7}));
    assert_eq!(ledger.apply(json!([transfer])).await, ["debit_account_already_closed"]);
}
