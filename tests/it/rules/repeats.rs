//! "Idempotency".

use super::{Ledger, MAX, at, hold, post, transfer, void, with};
use serde_json::{Value, json};

/// Accounts 1 and 2; 3 with 10 to spend.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    let limited = json!(["debits_must_not_exceed_credits"]);
    ledger.accounts(json!([{"id": 1}, {"id": 2}, {"id": 3, "flags": limited}])).await;
    let funds = transfer(9, json!({"credit_account": 3, "amount": 10}));
    assert_eq!(ledger.apply(json!([funds])).await, ["applied"]);
    ledger
}

async fn assert_answers(ledger: &Ledger, item: &Value, changes: &[(Value, &str)]) {
    for (change, expected) in changes {
        let again = with(item, change.clone());
        assert_eq!(ledger.apply(json!([again])).await, [*expected], "{change} of {item}");
    }
}

#[tokio::test]
async fn the_same_content_is_applied_and_replayed_with_the_original_result() {
    let ledger = ledger().await;
    let sent = transfer(10, json!({"metadata": {"k": 1}, "code": 7}));
    let first = ledger.one(sent.clone()).await;
    ledger.wait(super::SECOND).await;
    let again = ledger.one(sent.clone()).await;
    assert_eq!(again, with(&first, json!({"replayed": true})));
    // Also against earlier items of the same batch.
    let new = transfer(11, json!({}));
    let other = transfer(11, json!({"amount": 2}));
    let answers = ledger.apply(json!([new, other, new, sent])).await;
    assert_eq!(answers, ["applied", "exists_with_different_amount", "=applied", "=applied"]);
    assert_eq!(ledger.balances(1).await, [0, 12, 0, 0]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn expected_versions_scope_and_timestamp_are_not_compared() {
    let ledger = ledger().await;
    let sent = transfer(10, json!({"expect": {"debit_version": 1}}));
    assert_eq!(ledger.apply(json!([sent])).await, ["applied"]);
    let changes = [
        (json!({"expect": null}), "=applied"),
        (json!({"expect": {"credit_version": "9"}}), "=applied"),
    ];
    assert_answers(&ledger, &sent, &changes).await;
    let resolve = post(12, 11, json!({"scope": "chain"}));
    assert_eq!(ledger.apply(json!([hold(11, json!({})), resolve])).await, ["applied"; 2]);
    assert_answers(&ledger, &resolve, &[(json!({"scope": null}), "=applied")]).await;
    ledger
        .accounts(json!([{"id": 4, "flags": ["imported"], "timestamp": at(-9)},
                           {"id": 5, "flags": ["imported"], "timestamp": at(-8)}]))
        .await;
    let accounts = json!({"debit_account": 4, "credit_account": 5, "flags": ["imported"]});
    let imported = with(&transfer(13, accounts), json!({"timestamp": at(-7)}));
    assert_eq!(ledger.apply(json!([imported])).await, ["applied"]);
    let changes = [
        (json!({"timestamp": at(-6)}), "=applied"),
        (json!({"timestamp": at(1)}), "imported_event_timestamp_must_not_advance"),
    ];
    assert_answers(&ledger, &imported, &changes).await;
}

#[tokio::test]
async fn for_balancing_transfers_a_repeated_maximum_of_at_least_the_stored_amount_is_the_same() {
    let ledger = ledger().await;
    let sent =
        transfer(10, json!({"debit_account": 3, "amount": 50, "flags": ["balancing_debit"]}));
    assert_eq!(ledger.one(sent.clone()).await["amount"], "10");
    for (amount, expected) in [
        (json!(50), "=applied"),
        (json!(MAX), "=applied"),
        (json!(10), "=applied"),
        (json!(9), "exists_with_different_amount"),
        (json!(0), "exists_with_different_amount"),
    ] {
        assert_answers(&ledger, &sent, &[(json!({"amount": amount}), expected)]).await;
    }
    assert_eq!(ledger.one(sent).await["amount"], "10", "the stored amount");
}

#[tokio::test]
async fn for_post_the_stored_amount_or_all_when_all_was_posted_is_the_same() {
    let ledger = ledger().await;
    let held: Vec<_> = (10..13).map(|id| hold(id, json!({"amount": 5, "code": 9}))).collect();
    assert_eq!(ledger.apply(json!(held)).await, ["applied"; 3]);
    let (all, part) = (post(20, 10, json!({})), post(21, 11, json!({"amount": 4})));
    let voided = void(22, 12, json!({}));
    assert_eq!(ledger.apply(json!([all, part, voided])).await, ["applied"; 3]);
    let different = "exists_with_different_amount";
    let amount = |amount: Value| json!({"amount": amount});
    for (item, changes) in [
        (
            all,
            vec![
                (amount(json!(MAX)), "=applied"),
                (amount(json!(5)), "=applied"),
                (amount(json!(4)), different),
            ],
        ),
        (
            part,
            vec![
                (amount(json!(4)), "=applied"),
                (amount(Value::Null), different),
                (amount(json!(MAX)), different),
                (amount(json!(5)), different),
            ],
        ),
        (
            voided,
            vec![
                (amount(json!(5)), "=applied"),
                (amount(Value::Null), "=applied"),
                (amount(json!(0)), different),
                (amount(json!(MAX)), different),
            ],
        ),
    ] {
        assert_answers(&ledger, &item, &changes).await;
        // Absent fields equal inherited ones; what is given is compared.
        assert_answers(
            &ledger,
            &item,
            &[
                (json!({"debit_account": 1, "credit_account": 2, "code": 9}), "=applied"),
                (json!({"debit_account": 0, "credit_account": 0, "code": 0}), "=applied"),
                (json!({"debit_account": 2}), "exists_with_different_debit_account"),
                (json!({"credit_account": 1}), "exists_with_different_credit_account"),
                (json!({"code": 8}), "exists_with_different_code"),
                (json!({"pending_id": 13}), "exists_with_different_pending_id"),
            ],
        )
        .await;
    }
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_timeout_of_zero_is_none_and_another_one_is_different() {
    let ledger = ledger().await;
    let (never, soon) = (hold(10, json!({})), hold(11, json!({"timeout": 5})));
    assert_eq!(ledger.apply(json!([never, soon])).await, ["applied"; 2]);
    let different = "exists_with_different_timeout";
    let timeout = |seconds: u32| json!({"timeout": seconds});
    assert_answers(&ledger, &never, &[(timeout(0), "=applied"), (timeout(5), different)]).await;
    assert_answers(&ledger, &soon, &[(timeout(5), "=applied"), (timeout(0), different)]).await;
}

#[tokio::test]
async fn a_burnt_id_has_the_same_reason_forever_whatever_comes_with_it() {
    let ledger = ledger().await;
    let refused = transfer(10, json!({"debit_account": 3, "amount": 11}));
    assert_eq!(ledger.apply(json!([refused])).await, ["exceeds_credits"]);
    let funds = transfer(11, json!({"credit_account": 3, "amount": 100}));
    assert_eq!(ledger.apply(json!([funds])).await, ["applied"]);
    assert_answers(
        &ledger,
        &refused,
        &[
            (json!({}), "=exceeds_credits"),
            (json!({"debit_account": 1}), "=exceeds_credits"),
            (json!({"flags": ["pending", "post_pending"], "pending_id": 1}), "=exceeds_credits"),
            // What is judged before the id is looked up comes first.
            (json!({"timestamp": at(-1)}), "timestamp_must_be_absent"),
            (json!({"flags": ["linked"]}), "linked_event_chain_open"),
            // In another ledger the id is another id.
            (json!({"ledger": 2}), "debit_account_not_found"),
        ],
    )
    .await;
    // Within one batch as well.
    let request = json!([
        transfer(12, json!({"debit_account": 7})),
        transfer(12, json!({})),
        post(13, 12, json!({})),
        post(13, 9, json!({})),
    ]);
    let expected = [
        "debit_account_not_found",
        "=debit_account_not_found",
        "pending_transfer_not_found",
        "=pending_transfer_not_found",
    ];
    assert_eq!(ledger.apply(request).await, expected);
    ledger.server.database.assert_consistent().await;
}
