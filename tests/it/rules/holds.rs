//! "Pending", "Post", "Void", "Expiry".

use super::{Ledger, MAX, SECOND, hold, linked, post, transfer, void};
use giro_tests::database::connect;
use giro_tests::eventually;
use serde_json::json;

async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    let limited = json!(["debits_must_not_exceed_credits"]);
    ledger.accounts(json!([{"id": 1}, {"id": 2}, {"id": 3, "flags": limited}, {"id": 4}])).await;
    ledger
}

#[tokio::test]
async fn pending_adds_to_the_pending_balances_after_the_same_checks_as_a_direct_transfer() {
    let ledger = ledger().await;
    let from_3 = json!({"debit_account": 3, "amount": 7});
    let answers = ledger
        .apply(json!([
            transfer(10, json!({"credit_account": 3, "amount": 10})),
            hold(11, from_3.clone()),
            // What is held cannot be held or spent again.
            hold(12, from_3.clone()),
            transfer(13, from_3),
        ]))
        .await;
    assert_eq!(answers, ["applied", "applied", "exceeds_credits", "exceeds_credits"]);
    assert_eq!(ledger.balances(3).await, [7, 0, 0, 10]);
    assert_eq!(ledger.balances(2).await, [0, 0, 7, 0]);
    // Limits are checked when the hold is made; post never re-checks them.
    let rest = transfer(14, json!({"debit_account": 3, "amount": 3}));
    assert_eq!(ledger.apply(json!([rest, post(15, 11, json!({}))])).await, ["applied"; 2]);
    assert_eq!(ledger.balances(3).await, [0, 10, 0, 10]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn post_subtracts_the_whole_pending_amount_and_adds_the_posted_amount_once() {
    let ledger = ledger().await;
    let held: Vec<_> = (10..15).map(|id| hold(id, json!({"amount": 100}))).collect();
    assert_eq!(ledger.apply(json!(held)).await, ["applied"; 5]);
    // Absent or 2^128-1 = all, else at most pending; 0 posts nothing; the rest is released.
    for (id, (amount, posted)) in (20..).zip([
        (json!({}), 100),
        (json!({"amount": MAX}), 100),
        (json!({"amount": 100}), 100),
        (json!({"amount": 30}), 30),
        (json!({"amount": 0}), 0),
    ]) {
        let before = ledger.balances(1).await;
        let reply = ledger.one(post(id, id - 10, amount.clone())).await;
        assert_eq!(reply["amount"], posted.to_string(), "{amount}: {reply}");
        let after = ledger.balances(1).await;
        assert_eq!(after[0], before[0] - 100, "{amount}");
        assert_eq!(after[1], before[1] + posted, "{amount}");
        // A pending transfer is resolved at most once.
        let again = [post(id + 20, id - 10, json!({})), void(id + 30, id - 10, json!({}))];
        assert_eq!(ledger.apply(json!(again)).await, ["pending_transfer_already_posted"; 2]);
    }
    assert_eq!(ledger.balances(1).await, [0, 330, 0, 0]);
    assert_eq!(ledger.balances(2).await, [0, 0, 0, 330]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn void_subtracts_the_pending_amount_and_posts_nothing() {
    let ledger = ledger().await;
    let held = [10, 11].map(|id| hold(id, json!({"amount": 100})));
    assert_eq!(ledger.apply(json!(held)).await, ["applied"; 2]);
    // Amount absent, or exactly the pending one.
    for (id, amount) in [(20, json!({})), (21, json!({"amount": 100}))] {
        let reply = ledger.one(void(id, id - 10, amount)).await;
        assert_eq!((&reply["outcome"], &reply["amount"]), (&json!("applied"), &json!("100")));
    }
    assert_eq!(ledger.balances(1).await, [0; 4]);
    let again = [post(30, 10, json!({})), void(31, 11, json!({}))];
    assert_eq!(ledger.apply(json!(again)).await, ["pending_transfer_already_voided"; 2]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_post_or_void_inherits_accounts_and_code_and_what_it_gives_must_match() {
    let ledger = ledger().await;
    let held: Vec<_> = (10..13).map(|id| hold(id, json!({"amount": 5, "code": 9}))).collect();
    assert_eq!(ledger.apply(json!(held)).await, ["applied"; 3]);
    let given = json!({"debit_account": 1, "credit_account": 2, "code": 9});
    let zeros = json!({"debit_account": 0, "credit_account": 0, "code": 0});
    for (id, fields) in [(20, json!({})), (21, given), (22, zeros)] {
        let flag = if id == 21 { "void_pending" } else { "post_pending" };
        let item =
            super::with(&post(id, id - 10, fields), json!({"flags": [flag], "reference": "own"}));
        let reply = ledger.one(item).await;
        assert_eq!(reply["debit_account"], "00000000-0000-0000-0000-000000000001", "{reply}");
        assert_eq!(reply["credit_account"], "00000000-0000-0000-0000-000000000002", "{reply}");
        assert_eq!((&reply["code"], &reply["reference"]), (&json!(9), &json!("own")));
        let read = ledger.server.client.get(&format!("/transfers/{id}")).await.json;
        for field in ["debit_account", "credit_account", "code", "amount", "pending_id", "seq"] {
            assert_eq!(read[field], reply[field], "{field}");
        }
    }
}

#[tokio::test]
async fn a_hold_of_another_ledger_is_not_found() {
    let ledger = ledger().await;
    ledger.accounts(json!([{"id": 1, "ledger": 2}, {"id": 2, "ledger": 2}])).await;
    let held = hold(10, json!({"ledger": 2}));
    let answers = ledger
        .apply(json!([held, post(11, 10, json!({})), post(12, 10, json!({"ledger": 2}))]))
        .await;
    assert_eq!(answers, ["applied", "pending_transfer_not_found", "applied"]);
}

#[tokio::test]
async fn what_is_not_pending_or_was_refused_is_no_hold_also_within_the_same_request() {
    let ledger = ledger().await;
    let request = json!([
        transfer(10, json!({})),
        post(11, 10, json!({})),
        hold(12, json!({"debit_account": 3})),
        post(13, 12, json!({})),
        hold(14, json!({})),
        post(15, 14, json!({})),
        void(16, 15, json!({})),
    ]);
    let expected = [
        "applied",
        "pending_transfer_not_pending",
        "exceeds_credits",
        "pending_transfer_not_found",
        "applied",
        "applied",
        "pending_transfer_not_pending",
    ];
    assert_eq!(ledger.apply(request).await, expected);
}

#[tokio::test]
async fn expiry_is_at_created_at_and_timeout_exactly_even_if_not_released_yet() {
    let ledger = ledger().await;
    let held: Vec<_> = (10..14).map(|id| hold(id, json!({"amount": 5, "timeout": 3}))).collect();
    assert_eq!(ledger.apply(json!(held)).await, ["applied"; 4]);
    ledger.wait(3 * SECOND - 1).await;
    let in_time = [post(20, 10, json!({})), void(21, 11, json!({}))];
    assert_eq!(ledger.apply(json!(in_time)).await, ["applied"; 2]);
    ledger.expire().await;
    assert_eq!(ledger.balances(1).await, [10, 5, 0, 0], "never early");
    ledger.wait(1).await;
    let late = [post(22, 12, json!({})), void(23, 13, json!({}))];
    assert_eq!(ledger.apply(json!(late)).await, ["pending_transfer_expired"; 2]);
    let transfers = "SELECT count(*) FROM giro.transfers";
    let before = ledger.server.database.number(transfers).await;
    ledger.expire().await;
    assert_eq!(ledger.balances(1).await, [0, 5, 0, 0]);
    assert_eq!(ledger.server.database.number(transfers).await, before, "it writes no transfer");
    assert_eq!(
        ledger.account(1).await["version"],
        "8",
        "but it counts: 4 holds, 2 resolved, 2 released"
    );
    let after = [post(24, 12, json!({})), void(25, 13, json!({}))];
    assert_eq!(ledger.apply(json!(after)).await, ["pending_transfer_expired"; 2]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_while_a_hold_is_released_does_not_open_it_again() {
    let ledger = ledger().await;
    let database = &ledger.server.database;
    let owner = connect(&database.owner_url).await;
    let patient = "ALTER FUNCTION giro.expire_holds SET lock_timeout = '30s'";
    owner.batch_execute(patient).await.unwrap();
    let held = hold(10, json!({"amount": 5, "timeout": 3}));
    assert_eq!(ledger.apply(json!([held])).await, ["applied"]);
    let holder = database.superuser().await;
    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    holder.batch_execute(lock).await.unwrap();
    ledger.wait(3 * SECOND).await;
    let releasing = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND wait_event_type = 'Lock'
                        AND query LIKE '%giro.expire_holds%'";
    eventually("the hold is due", async || database.number(releasing).await > 0).await;
    ledger.wait(-2 * SECOND).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    eventually("it is released", async || ledger.balances(1).await == [0; 4]).await;
    assert_eq!(ledger.apply(json!([void(20, 10, json!({}))])).await, ["pending_transfer_expired"]);
    assert_eq!(ledger.balances(1).await, [0; 4]);
    database.assert_consistent().await;
}

#[tokio::test]
async fn expiry_works_on_closed_accounts_and_opens_what_a_closing_hold_had_closed() {
    let ledger = ledger().await;
    let request = json!([
        hold(10, json!({"amount": 5, "timeout": 1})),
        hold(11, json!({"timeout": 2, "flags": ["pending", "closing_debit", "closing_credit"]})),
        post(12, 10, json!({})),
    ]);
    assert_eq!(ledger.apply(request).await, ["applied", "applied", "debit_account_already_closed"]);
    ledger.wait(SECOND).await;
    ledger.expire().await;
    assert_eq!(ledger.balances(1).await, [1, 0, 0, 0]);
    assert!(ledger.is_closed(1).await && ledger.is_closed(2).await);
    ledger.wait(SECOND).await;
    ledger.expire().await;
    assert!(!ledger.is_closed(1).await && !ledger.is_closed(2).await);
    assert_eq!(ledger.apply(json!([transfer(13, json!({}))])).await, ["applied"]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn however_many_resolve_the_largest_hold_at_once_each_has_its_own_answer() {
    let ledger = ledger().await;
    // Together they would take more from the pending balances than a column has digits for.
    let voids = |from: u32, of| (from..from + 4).map(|id| void(id, of, json!({}))).collect();
    let voided = "pending_transfer_already_voided";
    for first in [10, 30] {
        let largest = hold(first, json!({"amount": MAX}));
        assert_eq!(ledger.apply(json!([largest])).await, ["applied"]);
        let chain = linked(voids(first + 1, first));
        let failed = "linked_event_failed";
        assert_eq!(ledger.apply(chain).await, [failed, voided, failed, failed]);
        let expected = ["applied", voided, voided, voided];
        assert_eq!(ledger.apply(json!(voids(first + 5, first))).await, expected);
    }
    // What is no hold is subtracted as well, in what is foreseen.
    let plain = transfer(50, json!({"amount": MAX}));
    assert_eq!(ledger.apply(json!([plain])).await, ["applied"]);
    let posts: Vec<_> = (51..56).map(|id| post(id, 50, json!({"amount": 0}))).collect();
    assert_eq!(ledger.apply(json!(posts)).await, ["pending_transfer_not_pending"; 5]);
    assert_eq!(ledger.balances(1).await[0], 0);
    ledger.server.database.assert_consistent().await;
}
