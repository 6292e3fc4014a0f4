//! "Accounts", and the reasons of `POST /accounts`.

use super::{Ledger, MAX, SECOND, answer, answers, at, hold, post, transfer, void, with};
use serde_json::{Value, json};

/// Answers to the creation of accounts.
async fn create(ledger: &Ledger, accounts: Value) -> Vec<String> {
    answers(&ledger.server.client.post("/accounts", &accounts).await)
}

#[tokio::test]
async fn the_key_of_an_account_is_its_ledger_and_its_id() {
    let ledger = Ledger::new().await;
    let both =
        json!([{"id": 1}, {"id": 2}, {"id": 1, "ledger": 2, "code": 9}, {"id": 2, "ledger": 2}]);
    ledger.accounts(both).await;
    let request = json!([transfer(10, json!({})), transfer(10, json!({"ledger": 2, "amount": 5}))]);
    assert_eq!(ledger.apply(request).await, ["applied"; 2], "and so is that of a transfer");
    assert_eq!(ledger.balances(1).await, [0, 1, 0, 0]);
    let other = ledger.server.client.get("/accounts/1?ledger=2").await.json;
    assert_eq!((&other["debits_posted"], &other["code"]), (&json!("5"), &json!(9)));
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn debits_must_not_exceed_credits_and_pending_credits_do_not_count() {
    let ledger = Ledger::new().await;
    let limited = json!(["debits_must_not_exceed_credits"]);
    ledger
        .accounts(json!([{"id": 1}, {"id": 2}, {"id": 3, "flags": limited},
                         {"id": 4, "flags": limited, "overdraft_limit": 5}]))
        .await;
    for (account, overdraft) in [(3, 0), (4, 5)] {
        let id = |n: u32| account * 100 + n;
        let debit =
            |n, amount: u32| transfer(id(n), json!({"debit_account": account, "amount": amount}));
        let request = json!([
            hold(id(1), json!({"credit_account": account, "amount": 9})),
            debit(2, overdraft + 1),
            post(id(3), id(1), json!({})),
            with(&debit(4, 4), json!({"flags": ["pending"]})),
            debit(5, overdraft + 6),
            debit(6, overdraft + 5),
            debit(7, 1),
            debit(8, 0),
        ]);
        let expected = [
            "applied",
            "exceeds_credits",
            "applied",
            "applied",
            "exceeds_credits",
            "applied",
            "exceeds_credits",
            "applied",
        ];
        assert_eq!(ledger.apply(request).await, expected, "account {account}");
    }
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn credits_must_not_exceed_debits_is_the_mirror() {
    let ledger = Ledger::new().await;
    let limited = json!(["credits_must_not_exceed_debits"]);
    ledger
        .accounts(json!([{"id": 1}, {"id": 2}, {"id": 3, "flags": limited},
                         {"id": 4, "flags": limited, "overdraft_limit": 5}]))
        .await;
    for (account, overdraft) in [(3, 0), (4, 5)] {
        let id = |n: u32| account * 100 + n;
        let credit =
            |n, amount: u32| transfer(id(n), json!({"credit_account": account, "amount": amount}));
        let request = json!([
            hold(id(1), json!({"debit_account": account, "amount": 9})),
            credit(2, overdraft + 1),
            post(id(3), id(1), json!({})),
            with(&credit(4, 4), json!({"flags": ["pending"]})),
            credit(5, overdraft + 6),
            credit(6, overdraft + 5),
            credit(7, 1),
        ]);
        let expected = [
            "applied",
            "exceeds_debits",
            "applied",
            "applied",
            "exceeds_debits",
            "applied",
            "exceeds_debits",
        ];
        assert_eq!(ledger.apply(request).await, expected, "account {account}");
    }
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn the_version_counts_every_change_and_history_keeps_the_balances_after_each() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1, "flags": ["history"]}, {"id": 2}])).await;
    let request = json!([
        transfer(10, json!({"amount": 1})),
        hold(11, json!({"amount": 2})),
        hold(12, json!({"amount": 4})),
        hold(13, json!({"amount": 8, "timeout": 1})),
        transfer(14, json!({"debit_account": 2, "credit_account": 1, "amount": 16})),
        transfer(15, json!({"debit_account": 7})),
        post(16, 11, json!({"amount": 1})),
        void(17, 12, json!({})),
        transfer(10, json!({"amount": 1})),
    ]);
    let answers = ledger.apply(request).await;
    assert_eq!(answers[5..], ["debit_account_not_found", "applied", "applied", "=applied"]);
    ledger.wait(SECOND).await;
    ledger.expire().await;
    let account = ledger.account(1).await;
    assert_eq!(account["version"], "8", "what was refused or repeated does not count");
    let history = "SELECT string_agg(concat_ws('/', version, debits_pending, debits_posted,
                                               credits_pending, credits_posted), ' ' ORDER BY seq)
                     FROM giro.balance_history WHERE account::text LIKE '%1'";
    let superuser = ledger.server.database.superuser().await;
    let history: String = superuser.query_one(history, &[]).await.unwrap().get(0);
    let expected =
        "1/0/1/0/0 2/2/1/0/0 3/6/1/0/0 4/14/1/0/0 5/14/1/0/16 6/12/2/0/16 7/8/2/0/16 8/0/2/0/16";
    assert_eq!(history, expected);
    let others = "SELECT count(*) FROM giro.balance_history WHERE account::text NOT LIKE '%1'";
    assert_eq!(ledger.server.database.number(others).await, 0, "only with the flag");
}

/// From an account with every fault to one that is created.
fn ladder() -> Vec<(Value, &'static str)> {
    vec![
        (json!({}), "imported_event_not_expected"),
        (
            json!({"flags": ["debits_must_not_exceed_credits", "credits_must_not_exceed_debits"]}),
            "timestamp_must_be_absent",
        ),
        (json!({"timestamp": null}), "id_must_not_be_zero"),
        (json!({"id": MAX}), "id_must_not_be_max"),
        (json!({"id": 5, "ledger": 1}), "exists_with_different_flags"),
        // Whether it is closed is not compared.
        (json!({"flags": ["history", "closed"]}), "exists_with_different_reference"),
        (json!({"reference": "r"}), "exists_with_different_metadata"),
        (json!({"metadata": {"k": 1}}), "exists_with_different_overdraft_limit"),
        (json!({"overdraft_limit": 5}), "exists_with_different_code"),
        (json!({"code": 7}), "=applied"),
        (
            json!({"id": 6, "ledger": 0, "code": 0,
                "flags": ["debits_must_not_exceed_credits", "credits_must_not_exceed_debits"]}),
            "flags_are_mutually_exclusive",
        ),
        (json!({"flags": []}), "ledger_must_not_be_zero"),
        (json!({"ledger": 1}), "code_must_not_be_zero"),
        (json!({"code": 1}), "applied"),
    ]
}

#[tokio::test]
async fn the_first_reason_in_order_of_precedence_answers_the_creation_of_an_account() {
    let ledger = Ledger::new().await;
    let known = json!({"id": 5, "code": 7, "flags": ["history"], "overdraft_limit": 5,
                       "reference": "r", "metadata": {"k": 1}});
    ledger.accounts(json!([known])).await;
    let mut item = json!({
        "id": 0, "ledger": 0, "code": 0, "timestamp": at(9), "overdraft_limit": 6, "reference": "s",
        "flags": ["debits_must_not_exceed_credits", "credits_must_not_exceed_debits", "imported"],
    });
    for (mended, expected) in ladder() {
        item = with(&item, mended.clone());
        let reply = ledger.server.client.post("/accounts", &json!([{"id": 0}, item])).await;
        assert_eq!(answer(&reply.json[1]), expected, "{mended}: {}", reply.text);
    }
    // Imports, as the first item says.
    let mut item = json!({"id": 0, "flags": [], "ledger": 0, "code": 0});
    for (mended, expected) in [
        (json!({}), "imported_event_expected"),
        (
            json!({"flags": ["imported"], "timestamp": at(0)}),
            "imported_event_timestamp_must_not_advance",
        ),
        (json!({"timestamp": at(-9)}), "id_must_not_be_zero"),
        (json!({"id": 8, "ledger": 1, "code": 1}), "applied"),
        (json!({"id": 9, "code": 0}), "code_must_not_be_zero"),
        (json!({"code": 1}), "imported_event_timestamp_must_not_regress"),
        (json!({"timestamp": at(-8)}), "applied"),
    ] {
        item = with(&item, mended.clone());
        let first = json!({"id": 0, "flags": ["imported"], "timestamp": at(-10)});
        let reply = ledger.server.client.post("/accounts", &json!([first, item])).await;
        assert_eq!(answer(&reply.json[1]), expected, "{mended}: {}", reply.text);
    }
}

#[tokio::test]
async fn account_creation_has_no_sticky_refusals_and_ignores_balances() {
    let ledger = Ledger::new().await;
    assert_eq!(create(&ledger, json!([{"id": 1, "code": 0}])).await, ["code_must_not_be_zero"]);
    let failed = json!([{"id": 1, "flags": ["linked"]}, {"id": 2, "ledger": 0}]);
    let expected = ["linked_event_failed", "ledger_must_not_be_zero"];
    assert_eq!(create(&ledger, failed).await, expected);
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    assert_eq!(ledger.apply(json!([transfer(10, json!({}))])).await, ["applied"]);
    let reply = ledger.server.client.post("/account", &json!({"id": 1})).await.json;
    assert_eq!((&reply["replayed"], &reply["debits_posted"]), (&json!(true), &json!("1")));
}

#[tokio::test]
async fn a_chain_of_accounts_is_created_or_not() {
    let ledger = Ledger::new().await;
    let chain = |ids: [u32; 3]| {
        let flags = |n| if n < 2 { json!(["linked"]) } else { json!([]) };
        let account = |n: usize| json!({"id": ids[n], "flags": flags(n)});
        json!([account(0), account(1), account(2)])
    };
    for broken in 0..3 {
        let mut accounts = chain([1, 2, 3]);
        accounts[broken]["code"] = json!(0);
        let mut expected = ["linked_event_failed"; 3];
        expected[broken] = "code_must_not_be_zero";
        assert_eq!(create(&ledger, accounts).await, expected);
    }
    assert_eq!(ledger.server.database.number("SELECT count(*) FROM giro.accounts").await, 0);
    assert_eq!(create(&ledger, chain([1, 2, 3])).await, ["applied"; 3]);
    assert_eq!(create(&ledger, chain([1, 2, 3])).await, ["=applied"; 3]);
    let expected = ["linked_event_failed", "exists", "linked_event_failed"];
    assert_eq!(create(&ledger, chain([4, 2, 5])).await, expected);
    let expected = ["linked_event_failed", "exists", "linked_event_failed"];
    let twice = json!([{"id": 6, "flags": ["linked"]}, {"id": 6, "flags": ["linked"]}, {"id": 7}]);
    assert_eq!(create(&ledger, twice).await, expected);
    let twice = json!([{"id": 6, "flags": ["linked"]}, {"id": 6}, {"id": 6}]);
    let expected = ["linked_event_failed", "exists_with_different_flags", "applied"];
    assert_eq!(create(&ledger, twice).await, expected, "undone, the id is free");
    let open = json!([{"id": 8}, {"id": 9, "flags": ["linked"]}]);
    assert_eq!(create(&ledger, open).await, ["applied", "linked_event_chain_open"]);
    // The second request does not continue the first one's chain.
    assert_eq!(create(&ledger, json!([{"id": 9}])).await, ["applied"]);
}
