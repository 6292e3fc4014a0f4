//! "Order".

use super::{Ledger, SECOND, START, at, hold, post, transfer};
use serde_json::json;

#[tokio::test]
async fn seq_and_version_order_alike_along_the_history_of_every_account() {
    let ledger = Ledger::new().await;
    let history = json!(["history"]);
    ledger.accounts(json!([{"id": 1, "flags": history}, {"id": 2, "flags": history}, {"id": 3, "flags": history}])).await;
    for round in (100..500).step_by(100) {
        let request = json!([
            transfer(round, json!({})),
            hold(round + 1, json!({"debit_account": 3, "timeout": 1})),
            hold(
                round + 2,
                json!({"credit_account": 3, "timeout": 2, "flags": ["pending", "linked"]})
            ),
            hold(round + 3, json!({"debit_account": 2, "credit_account": 3})),
            post(round + 4, round + 2, json!({"scope": "chain"})),
            transfer(round + 5, json!({"debit_account": 9})),
        ]);
        assert_eq!(ledger.apply(request).await[4..], ["applied", "debit_account_not_found"]);
        ledger.wait(SECOND).await;
        ledger.expire().await;
    }
    let disorder = "SELECT count(*) FROM (
        SELECT version, row_number() OVER (PARTITION BY ledger, account ORDER BY seq) AS place,
               created_at < lag(created_at) OVER (PARTITION BY ledger, account ORDER BY seq) AS back
          FROM giro.balance_history) AS h WHERE version <> place OR back";
    assert_eq!(ledger.server.database.number(disorder).await, 0);
    let changes = "SELECT sum(version)::bigint FROM giro.accounts";
    let kept = "SELECT count(*) FROM giro.balance_history";
    let database = &ledger.server.database;
    assert_eq!(database.number(changes).await, 4 * 14);
    assert_eq!(database.number(kept).await, 4 * 14, "a row for every change");
    let twice = "SELECT count(*) - count(DISTINCT seq) FROM
                     (SELECT seq FROM giro.decisions UNION ALL SELECT seq FROM giro.expirations) AS s";
    assert_eq!(database.number(twice).await, 0, "no seq is given twice");
    database.assert_consistent().await;
}

#[tokio::test]
async fn created_at_is_never_earlier_than_that_of_the_accounts_previous_transfer() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}])).await;
    let request = json!([transfer(10, json!({})), hold(11, json!({"timeout": 1}))]);
    ledger.wait(9 * SECOND).await;
    assert_eq!(ledger.apply(request).await, ["applied"; 2]);
    // The database's clock is set back, or another server with a slower one takes over.
    ledger.clock.set(START + 5 * SECOND).await;
    assert_eq!(ledger.one(transfer(12, json!({"credit_account": 3}))).await["created_at"], at(9));
    let elsewhere = json!({"debit_account": 4, "credit_account": 3});
    assert_eq!(ledger.one(transfer(13, elsewhere)).await["created_at"], at(9), "by account 3");
    ledger.clock.set(START + 10 * SECOND - 1).await;
    ledger.expire().await;
    assert_eq!(ledger.balances(2).await, [0, 0, 1, 1], "never early");
    ledger.clock.set(START + 10 * SECOND).await;
    ledger.expire().await;
    assert_eq!(ledger.balances(2).await, [0, 0, 0, 1]);
    ledger.clock.set(START).await;
    assert_eq!(ledger.one(transfer(14, json!({}))).await["created_at"], at(10), "by the release");
    ledger.server.database.assert_consistent().await;
}
