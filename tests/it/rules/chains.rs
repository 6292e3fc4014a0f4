//! "Linked": chains of transfers, and `"scope": "chain"`.

use super::{Ledger, SECOND, answer, hold, post, transfer, void, with};
use serde_json::{Value, json};

/// Accounts 1 and 2; 3 may not be debited.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    let limited = json!(["debits_must_not_exceed_credits"]);
    ledger.accounts(json!([{"id": 1}, {"id": 2}, {"id": 3, "flags": limited}])).await;
    ledger
}

/// The same items as one chain.
fn linked(mut items: Vec<Value>) -> Value {
    let last = items.len() - 1;
    for item in &mut items[..last] {
        let mut flags = item["flags"].as_array().cloned().unwrap_or_default();
        flags.push(json!("linked"));
        item["flags"] = json!(flags);
    }
    json!(items)
}

fn transfers(ids: impl IntoIterator<Item = u32>) -> Vec<Value> {
    ids.into_iter().map(|id| transfer(id, json!({}))).collect()
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
    // The same id twice in one chain.
    let twice = json!([
        transfer(30, json!({"flags": ["linked"]})),
        transfer(30, json!({"flags": ["linked"]})),
        transfer(31, json!({})),
    ]);
    assert_eq!(ledger.apply(twice).await, [failed, "exists", failed]);
    let answers = ledger.apply(linked(transfers([30, 30]))).await;
    assert_eq!(answers, [failed, "exists_with_different_flags"]);
    assert_eq!(ledger.apply(json!(transfers([30]))).await, ["applied"]);
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

#[tokio::test]
async fn chains_of_one_item_to_a_full_batch_are_applied_and_undone_as_a_whole() {
    let ledger = ledger().await;
    let mut applied = 0;
    for len in [1, 2, 10, 999, 1000] {
        let first = len * 10_000;
        let mut chain = transfers(first..first + len);
        chain[len as usize - 1]["debit_account"] = json!(98);
        let mut expected = vec!["linked_event_failed"; len as usize];
        expected[len as usize - 1] = "debit_account_not_found";
        assert_eq!(ledger.apply(linked(chain)).await, expected, "{len}");
        let chain = linked(transfers(first + len..first + 2 * len));
        assert_eq!(ledger.apply(chain.clone()).await, vec!["applied"; len as usize]);
        assert_eq!(ledger.apply(chain).await, vec!["=applied"; len as usize]);
        applied += u128::from(len);
    }
    assert_eq!(ledger.balances(1).await, [0, applied, 0, 0]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_never_span_requests_and_the_batcher_never_splits_one() {
    let ledger = Ledger::configured(|config| {
        config.batch.max_items = 4;
        config.batch.in_flight = 1;
        config.server.request_timeout.0 = std::time::Duration::from_secs(20);
        config.queue.max_wait.0 = std::time::Duration::from_secs(20);
    })
    .await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    // Three batches are made of what has gathered behind a lock; an open chain comes before each chain.
    let holder = ledger.server.database.superuser().await;
    holder.batch_execute("BEGIN; SELECT FROM giro.account_state FOR UPDATE").await.unwrap();
    let client = ledger.server.client;
    let requests = (1..=6).map(|n| match n % 2 {
        1 => json!([transfer(n * 10, json!({"flags": ["linked"]}))]),
        _ => linked(transfers(n * 10..n * 10 + 3)),
    });
    let sent: Vec<_> = requests
        .map(|request| tokio::spawn(async move { client.post("/transfers", &request).await }))
        .collect();
    giro_tests::eventually("all are queued", async || {
        ledger.server.metric(r#"giro_queue_items{batcher="transfers"}"#).await >= 8.0
    })
    .await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    for (n, reply) in (1..).zip(sent) {
        let reply = reply.await.unwrap();
        match n % 2 {
            1 => assert_eq!(answer(&reply.json[0]), "linked_event_chain_open"),
            _ => assert_eq!(super::answers(&reply), ["applied"; 3]),
        }
    }
    // Each chain in one batch, whatever came with it.
    let split = "SELECT count(*) FROM (SELECT left(right(id::text, 2), 1) FROM giro.transfers
                  GROUP BY 1 HAVING count(DISTINCT batch_id) > 1) AS split";
    assert_eq!(ledger.server.database.number(split).await, 0);
    assert_eq!(ledger.server.database.number("SELECT count(*) FROM giro.transfers").await, 9);
    ledger.server.database.assert_consistent().await;
}

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
    let ledger = ledger().await;
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
    let ledger = ledger().await;
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
