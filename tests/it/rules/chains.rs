//! "Linked": chains of transfers.

use super::{Ledger, hold, linked, post, transfer, transfers, void, with};
use serde_json::json;

/// Accounts 1 and 2; 3 may not be debited.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    let limited = json!(["debits_must_not_exceed_credits"]);
    ledger.accounts(json!([{"id": 1}, {"id": 2}, {"id": 3, "flags": limited}])).await;
    ledger
}

#[tokio::test]
async fn if_one_member_fails_all_are_undone_at_every_position_and_state_burns_them() {
    let ledger = ledger().await;
    let mut id = 100;
    for (fault, reason, burns) in [
        (json!({"credit_account": 1}), "accounts_must_be_different", false),
        (json!({"debit_account": 98}), "debit_account_not_found", true),
        (json!({"debit_account": 3}), "exceeds_credits", true),
    ] {
        for broken in 0..4 {
            id += 10;
            let good = transfers(id..id + 4);
            let mut bad = good.clone();
            bad[broken] = with(&bad[broken], fault.clone());
            let mut expected = vec!["linked_event_failed".to_owned(); 4];
            expected[broken] = reason.to_owned();
            assert_eq!(ledger.apply(linked(bad)).await, expected, "{reason} at {broken}");
            assert_eq!(ledger.account(1).await["version"], ledger.account(2).await["version"]);
            // Burnt members have one answer, also as the good chain that they now are.
            let expected: Vec<_> = match burns {
                true => expected.iter().map(|answer| format!("={answer}")).collect(),
                false => vec!["applied".to_owned(); 4],
            };
            assert_eq!(ledger.apply(linked(good)).await, expected, "after {reason} at {broken}");
        }
    }
    assert_eq!(ledger.balances(1).await, [0, 16, 0, 0], "what was undone has left no trace");
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn members_see_the_effects_of_those_before_and_all_effects_are_undone() {
    let ledger = ledger().await;
    ledger.accounts(json!([{"id": 4, "flags": ["history"]}, {"id": 5}])).await;
    assert_eq!(
        ledger.apply(json!([hold(9, json!({"debit_account": 4, "credit_account": 5}))])).await,
        ["applied"]
    );
    let movements = |id: u32| {
        vec![
            transfer(id, json!({"credit_account": 3, "amount": 10})),
            transfer(id + 1, json!({"debit_account": 3, "amount": 10})),
            hold(id + 2, json!({"amount": 7})),
            post(id + 3, id + 2, json!({"amount": 5})),
            post(id + 4, 9, json!({})),
            hold(
                id + 5,
                json!({"debit_account": 4, "credit_account": 5, "timeout": 1, "flags": ["pending", "closing_debit"]}),
            ),
            void(id + 6, id + 5, json!({})),
            hold(
                id + 7,
                json!({"debit_account": 5, "credit_account": 4, "flags": ["pending", "closing_credit"]}),
            ),
        ]
    };
    let mut broken = movements(20);
    broken.push(transfer(30, json!({"debit_account": 3, "amount": 1, "flags": []})));
    let mut expected = vec!["linked_event_failed"; 8];
    expected.push("exceeds_credits");
    assert_eq!(ledger.apply(linked(broken)).await, expected);
    for account in [1, 2, 3] {
        assert_eq!(ledger.balances(account).await, [0; 4]);
        assert_eq!(ledger.account(account).await["version"], "0");
    }
    assert_eq!(ledger.balances(4).await, [1, 0, 0, 0]);
    assert!(!ledger.is_closed(4).await);
    let database = &ledger.server.database;
    assert_eq!(database.number("SELECT count(*) FROM giro.open_holds").await, 0);
    assert_eq!(database.number("SELECT count(*) FROM giro.balance_history").await, 1);
    assert_eq!(ledger.apply(linked(movements(40))).await, ["applied"; 8]);
    assert_eq!(ledger.balances(3).await, [0, 10, 0, 10]);
    assert!(ledger.is_closed(4).await);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_last_item_that_still_has_linked_is_chain_open_and_leaves_the_ids_free() {
    let ledger = ledger().await;
    let mut open = transfers(10..13);
    open.iter_mut().skip(1).for_each(|item| item["flags"] = json!(["linked"]));
    let expected = ["applied", "linked_event_failed", "linked_event_chain_open"];
    assert_eq!(ledger.apply(json!(open)).await, expected);
    assert_eq!(ledger.apply(json!(transfers(11..13))).await, ["applied"; 2]);
    assert_eq!(ledger.balances(1).await, [0, 3, 0, 0]);
    // An open chain is never one that is sent again in full.
    let chain = linked(transfers(20..23));
    assert_eq!(ledger.apply(chain.clone()).await, ["applied"; 3]);
    let without_its_end = json!(chain.as_array().expect("an array")[..2]);
    assert_eq!(ledger.apply(without_its_end).await, ["exists", "linked_event_failed"]);
}

#[tokio::test]
async fn a_chain_that_is_sent_again_in_full_is_replayed_for_every_member() {
    let ledger = ledger().await;
    let chain = linked(transfers(10..14));
    assert_eq!(ledger.apply(chain.clone()).await, ["applied"; 4]);
    assert_eq!(ledger.apply(chain.clone()).await, ["=applied"; 4]);
    // Twice in one request, and behind other items.
    let mut twice = vec![transfer(20, json!({}))];
    for _ in 0..2 {
        twice.extend(linked(transfers(21..24)).as_array().cloned().unwrap());
    }
    let expected = [vec!["applied"; 4], vec!["=applied"; 3]].concat();
    assert_eq!(ledger.apply(json!(twice)).await, expected);
    assert_eq!(ledger.balances(1).await, [0, 8, 0, 0]);
    // With another content, the member that differs breaks it.
    let mut altered = chain.clone();
    altered[2]["amount"] = json!(2);
    let expected = ["exists", "linked_event_failed", "linked_event_failed", "linked_event_failed"];
    assert_eq!(ledger.apply(altered.clone()).await, expected, "the first that is applied already");
    altered[0]["id"] = json!(30);
    altered[1]["id"] = json!(31);
    let expected = [
        "linked_event_failed",
        "linked_event_failed",
        "exists_with_different_amount",
        "linked_event_failed",
    ];
    assert_eq!(ledger.apply(altered).await, expected);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_chain_of_which_some_members_are_applied_breaks_at_the_first_of_them() {
    let ledger = ledger().await;
    assert_eq!(ledger.apply(json!(transfers([13]))).await, ["applied"]);
    let answers = ledger.apply(linked(transfers(10..14))).await;
    let failed = "linked_event_failed";
    assert_eq!(answers, [failed, failed, failed, "exists"]);
    let chain = linked(transfers(20..23));
    assert_eq!(ledger.apply(chain.clone()).await, ["applied"; 3]);
    // Longer at its beginning; and at its end, where the flag of the last one differs.
    let mut longer = chain.as_array().cloned().unwrap();
    longer.insert(0, transfer(19, json!({"flags": ["linked"]})));
    assert_eq!(ledger.apply(json!(longer)).await, [failed, "exists", failed, failed]);
    let answers = ledger.apply(linked(transfers(20..24))).await;
    assert_eq!(answers, ["exists", failed, failed, failed]);
    // The ids of the members that were not applied are free.
    assert_eq!(ledger.apply(json!(transfers([10, 19, 23]))).await, ["applied"; 3]);
    // The same id twice in one chain, and then by itself.
    let twice = json!([
        transfer(30, json!({"flags": ["linked"]})),
        transfer(30, json!({"flags": ["linked"]})),
        transfer(31, json!({})),
    ]);
    assert_eq!(ledger.apply(twice).await, [failed, "exists", failed]);
    let differs = "exists_with_different_flags";
    let twice = [transfer(30, json!({"flags": ["linked"]})), transfer(30, json!({}))];
    let request = [&twice[..], &twice[1..], &twice[1..]].concat();
    assert_eq!(ledger.apply(json!(request)).await, [failed, differs, "applied", "=applied"]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_member_with_a_burnt_id_breaks_its_chain_and_burns_the_others() {
    let ledger = ledger().await;
    let burnt = transfer(11, json!({"debit_account": 98}));
    assert_eq!(ledger.apply(json!([burnt])).await, ["debit_account_not_found"]);
    let failed = "linked_event_failed";
    let answers = ledger.apply(linked(transfers(10..13))).await;
    assert_eq!(answers, [failed, "=debit_account_not_found", failed]);
    let answers = ledger.apply(json!(transfers([10, 12]))).await;
    assert_eq!(answers, ["=linked_event_failed"; 2]);
    // Behind the break, a burnt id keeps its own answer; zero, max and what is applied are not burnt.
    assert_eq!(ledger.apply(json!(transfers([23]))).await, ["applied"]);
    let chain = json!([
        transfer(20, json!({"flags": ["linked"], "debit_account": 98})),
        transfer(0, json!({"flags": ["linked"]})),
        transfer(11, json!({"flags": ["linked"]})),
        transfer(21, json!({"flags": ["linked"]})),
        transfer(21, json!({"flags": ["linked"]})),
        transfer(23, json!({})),
    ]);
    let expected = [
        "debit_account_not_found",
        failed,
        "=debit_account_not_found",
        failed,
        "=linked_event_failed",
        failed,
    ];
    assert_eq!(ledger.apply(chain).await, expected);
    assert_eq!(ledger.apply(json!(transfers([23]))).await, ["=applied"]);
    assert_eq!(ledger.apply(json!(transfers([0]))).await, ["id_must_not_be_zero"]);
    // Behind a break that does not depend on state, the others stay free.
    let chain = json!([
        transfer(30, json!({"flags": ["linked"], "code": 0})),
        transfer(11, json!({"flags": ["linked"]})),
        transfer(31, json!({})),
    ]);
    let expected = ["code_must_not_be_zero", "=debit_account_not_found", failed];
    assert_eq!(ledger.apply(chain).await, expected);
    assert_eq!(ledger.apply(json!(transfers([30, 31]))).await, ["applied"; 2]);
    ledger.server.database.assert_consistent().await;
}
