//! "A post or void with `"scope": "chain"` resolves the whole chain, all or nothing."

use super::{Ledger, SECOND, answer, hold, linked, post, transfer, void, with};
use serde_json::json;

/// A chain of two holds with a direct transfer between, from 1 to 2, and from 2 to 1; a hold in no chain.
async fn chain_of_holds(ledger: &Ledger, id: u32) {
    let chain = linked(vec![
        hold(id, json!({"amount": 5, "timeout": 9, "code": 7})),
        transfer(id + 1, json!({"amount": 3})),
        hold(id + 2, json!({"amount": 7, "debit_account": 2, "credit_account": 1})),
    ]);
    assert_eq!(ledger.apply(chain).await, ["applied"; 3]);
    assert_eq!(ledger.apply(json!([hold(id + 3, json!({"amount": 1}))])).await, ["applied"]);
}

#[tokio::test]
async fn scope_chain_resolves_every_hold_of_the_chain_all_or_nothing() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    for (id, void) in [(100, false), (200, true)] {
        chain_of_holds(&ledger, id).await;
        let before = ledger.balances(1).await;
        let flag = if void { "void_pending" } else { "post_pending" };
        let changes = json!({"flags": [flag], "scope": "chain", "reference": "all"});
        let item = with(&post(id + 10, id, json!({})), changes);
        let reply = ledger.one(item.clone()).await;
        assert_eq!(
            (&reply["outcome"], &reply["amount"]),
            (&json!("applied"), &json!("5")),
            "{reply}"
        );
        let after = ledger.balances(1).await;
        let (out, back) = if void { (0, 0) } else { (5, 7) };
        let expected = [before[0] - 5, before[1] + out, before[2] - 7, before[3] + back];
        assert_eq!(after, expected);
        assert_eq!(answer(&ledger.one(item).await), "=applied");
        let already = if void {
            "pending_transfer_already_voided"
        } else {
            "pending_transfer_already_posted"
        };
        let further = [post(id + 11, id + 2, json!({})), post(id + 12, id + 3, json!({}))];
        assert_eq!(ledger.apply(json!(further)).await, [already, "applied"]);
    }
    // Each further hold has a transfer of its own.
    let further = "SELECT count(*) FROM giro.transfers t JOIN giro.transfers h
                       ON h.ledger = t.ledger AND h.id = t.pending_id AND h.amount = 7
                    WHERE t.reference = 'all' AND t.debit_account = h.debit_account
                      AND t.amount = 7 AND NOT t.flags @> '{linked}'";
    assert_eq!(ledger.server.database.number(further).await, 2);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn scope_chain_is_refused_as_a_whole_with_the_first_failing_holds_reason() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    for id in [100, 200, 300] {
        chain_of_holds(&ledger, id).await;
    }
    let all = json!({"scope": "chain"});
    let request = json!([
        void(110, 102, json!({})),
        post(111, 100, all.clone()),
        // A later member does not stand for the chain; a hold in no chain is resolved alone.
        post(210, 202, all.clone()),
        post(211, 203, all.clone()),
        // What is given must match the first hold.
        post(310, 300, json!({"scope": "chain", "code": 1})),
        post(311, 300, json!({"scope": "chain", "expect": {"debit_version": 1}})),
        post(
            312,
            300,
            json!({"scope": "chain", "code": 7, "debit_account": 1, "credit_account": 2})
        ),
    ]);
    let expected = [
        "applied",
        "pending_transfer_already_voided",
        "pending_transfer_not_found",
        "applied",
        "pending_transfer_has_different_code",
        "version_mismatch",
        "applied",
    ];
    assert_eq!(ledger.apply(request).await, expected);
    ledger.wait(9 * SECOND).await;
    assert_eq!(ledger.apply(json!([void(112, 200, all)])).await, ["pending_transfer_expired"]);
    let open = "SELECT count(*) FROM giro.transfers WHERE state = 'pending'";
    assert_eq!(ledger.server.database.number(open).await, 3, "103, 202, 303");
    // Its amount is each hold's own.
    let body = json!({"id": 1, "flags": ["post_pending"], "pending_id": 100, "scope": "chain", "amount": 1});
    let reply = ledger.server.client.post("/transfer", &body).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["field"]),
        (400, &json!("amount")),
        "{}",
        reply.text
    );
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn scope_chain_of_a_hold_in_no_chain_leaves_every_other_hold_alone() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    let held: Vec<_> = (10..13).map(|id| hold(id, json!({"amount": 5}))).collect();
    assert_eq!(ledger.apply(json!(held)).await, ["applied"; 3]);
    // Also next to others that are named in the same request.
    let request = json!([
        post(20, 10, json!({"scope": "chain"})),
        post(21, 12, json!({"scope": "chain"})),
        void(22, 11, json!({})),
        post(23, 98, json!({})),
    ]);
    let expected = ["applied", "applied", "applied", "pending_transfer_not_found"];
    assert_eq!(ledger.apply(request).await, expected);
    assert_eq!(ledger.balances(1).await, [0, 10, 0, 0]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_chain_that_begins_with_no_hold_is_named_by_its_first_hold() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    let chain = vec![transfer(10, json!({})), hold(11, json!({})), hold(12, json!({}))];
    assert_eq!(ledger.apply(linked(chain)).await, ["applied"; 3]);
    let all = json!({"scope": "chain"});
    let request = json!([
        post(20, 10, all.clone()),
        post(21, 12, all.clone()),
        post(22, 11, all),
        post(23, 12, json!({})),
    ]);
    let expected = [
        "pending_transfer_not_pending",
        "pending_transfer_not_found",
        "applied",
        "pending_transfer_already_posted",
    ];
    assert_eq!(ledger.apply(request).await, expected);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn scope_chain_whose_further_id_is_taken_is_refused_alone_and_can_be_sent_under_another() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    chain_of_holds(&ledger, 100).await;
    let superuser = ledger.server.database.superuser().await;
    let derive = "SELECT giro.member_id('00000000-0000-0000-0000-0000000000c8',
                                        '00000000-0000-0000-0000-000000000066')::text";
    let derived: String = superuser.query_one(derive, &[]).await.unwrap().get(0);
    let taken = json!({"id": derived, "debit_account": 1, "credit_account": 2, "amount": 1});
    let all = json!({"scope": "chain"});
    let request = json!([taken, post(200, 100, all.clone()), transfer(300, json!({}))]);
    assert_eq!(ledger.apply(request).await, ["applied", "exists", "applied"]);
    let request = json!([post(200, 100, all.clone()), post(201, 100, all)]);
    assert_eq!(ledger.apply(request).await, ["exists", "applied"]);
    ledger.server.database.assert_consistent().await;
}
