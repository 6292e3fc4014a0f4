//! "Imports": transfers and accounts with a time of their own.

use super::{Ledger, SECOND, answers, at, hold, post, transfer, with};
use serde_json::{Value, json};

fn import(id: u32, seconds: i64, changes: Value) -> Value {
    let imported = json!({"flags": ["imported"], "timestamp": at(seconds)});
    with(&transfer(id, imported), changes)
}

/// Accounts 1 to 4, imported as of 100 to 97 seconds ago.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    let old =
        |id: i64| json!({"id": id, "flags": ["imported", "history"], "timestamp": at(id - 101)});
    ledger.accounts(json!([old(1), old(2), old(3), old(4)])).await;
    ledger
}

#[tokio::test]
async fn an_import_has_the_time_that_it_carries() {
    let ledger = ledger().await;
    assert_eq!(ledger.account(1).await["created_at"], at(-100));
    let reply = ledger.one(import(10, -50, json!({}))).await;
    assert_eq!((&reply["outcome"], &reply["created_at"]), (&json!("applied"), &at(-50)), "{reply}");
    let history = "SELECT (extract(epoch FROM max(created_at)) * 1000000)::bigint
                     FROM giro.balance_history WHERE account::text LIKE '%1'";
    let time = ledger.server.database.number(history).await;
    assert_eq!(time, super::START - 50 * SECOND);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn imports_are_in_the_past_and_grow_within_the_ledger() {
    let ledger = ledger().await;
    ledger
        .accounts(json!([
            {"id": 1, "ledger": 2, "flags": ["imported"], "timestamp": at(-100)},
            {"id": 2, "ledger": 2, "flags": ["imported"], "timestamp": at(-99)},
        ]))
        .await;
    let others = json!({"debit_account": 3, "credit_account": 4});
    let request = json!([
        import(10, -50, json!({})),
        import(11, -50, others.clone()),
        import(12, -51, others.clone()),
        import(13, -49, others.clone()),
        import(14, 0, json!({})),
        import(15, -60, json!({"ledger": 2})),
    ]);
    let regress = "imported_event_timestamp_must_not_regress";
    let advance = "imported_event_timestamp_must_not_advance";
    let expected = ["applied", regress, regress, "applied", advance, "applied"];
    assert_eq!(ledger.apply(request).await, expected);
    // Neither before the last of the ledger in an earlier batch.
    assert_eq!(ledger.apply(json!([import(16, -49, others)])).await, [regress]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn an_import_is_later_than_its_accounts_and_their_last_transfer() {
    let ledger = ledger().await;
    ledger.accounts(json!([{"id": 5}, {"id": 6}])).await;
    let debit = "imported_event_timestamp_must_postdate_debit_account";
    let credit = "imported_event_timestamp_must_postdate_credit_account";
    let request = json!([
        import(10, -50, json!({"debit_account": 5, "credit_account": 6})),
        import(11, -50, json!({"credit_account": 5})),
        import(12, -100, json!({})),
        import(13, -99, json!({})),
        import(14, -98, json!({})),
    ]);
    assert_eq!(ledger.apply(request).await, [debit, credit, debit, credit, "applied"]);
    // A transfer of today puts its accounts beyond every import of the past.
    assert_eq!(ledger.apply(json!([transfer(20, json!({"debit_account": 3}))])).await, ["applied"]);
    let regress = "imported_event_timestamp_must_not_regress";
    let late = json!([import(21, -1, json!({})), import(22, -1, json!({"credit_account": 4}))]);
    assert_eq!(ledger.apply(late).await, [regress, "applied"]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn imports_are_not_mixed_with_others_in_a_request() {
    let ledger = ledger().await;
    let today = |id| transfer(id, json!({"debit_account": 3, "credit_account": 4}));
    let request = json!([import(10, -50, json!({})), today(11), import(12, -49, json!({}))]);
    assert_eq!(ledger.apply(request).await, ["applied", "imported_event_expected", "applied"]);
    let request = json!([today(11), import(13, -48, json!({})), today(14)]);
    assert_eq!(ledger.apply(request).await, ["applied", "imported_event_not_expected", "applied"]);
    let accounts = json!([{"id": 7}, {"id": 8, "flags": ["imported"], "timestamp": at(-1)}]);
    let reply = ledger.server.client.post("/accounts", &accounts).await;
    assert_eq!(answers(&reply), ["applied", "imported_event_not_expected"]);
}

#[tokio::test]
async fn imports_have_no_timeouts_but_are_holds_and_posts_like_others() {
    let ledger = ledger().await;
    let pending = json!({"flags": ["imported", "pending"]});
    let request = json!([
        import(10, -50, with(&pending, json!({"timeout": 1}))),
        import(11, -50, pending),
        with(
            &post(12, 11, json!({})),
            json!({"flags": ["imported", "post_pending"], "timestamp": at(-49)})
        ),
        with(
            &post(13, 11, json!({})),
            json!({"flags": ["imported", "post_pending"], "timestamp": at(-48)})
        ),
    ]);
    let expected = [
        "imported_event_timeout_must_be_zero",
        "applied",
        "applied",
        "pending_transfer_already_posted",
    ];
    assert_eq!(ledger.apply(request).await, expected);
    // A hold of today, posted by an import: not before the hold.
    assert_eq!(ledger.apply(json!([hold(20, json!({"timeout": 5}))])).await, ["applied"]);
    ledger.wait(3 * SECOND).await;
    let post = |id, seconds| {
        with(
            &post(id, 20, json!({})),
            json!({"flags": ["imported", "post_pending"], "timestamp": at(seconds)}),
        )
    };
    let regress = "imported_event_timestamp_must_not_regress";
    assert_eq!(ledger.apply(json!([post(21, 0), post(22, 1)])).await, [regress, "applied"]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn an_import_whose_chain_breaks_leaves_no_trace_of_its_time() {
    let ledger = ledger().await;
    let chain = json!([
        import(10, -40, json!({"flags": ["imported", "linked"]})),
        import(11, -39, json!({"debit_account": 99})),
    ]);
    let expected = ["linked_event_failed", "debit_account_not_found"];
    assert_eq!(ledger.apply(chain).await, expected);
    assert_eq!(ledger.apply(json!([import(12, -50, json!({}))])).await, ["applied"]);
    ledger.server.database.assert_consistent().await;
}
