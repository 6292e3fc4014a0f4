//! What only a caller of the SQL function itself can do: its arrays name accounts of any ledger.

use super::{Ledger, hold};
use crate::direct;
use giro_tests::database::connect;
use serde_json::json;

/// Judges one transfer of ledger 1 in a call of its own. The dictionary has account 1 and 2 in ledger 1,
/// then account 1 and 2 in ledger 2; debit and credit are places in it.
async fn judge(ledger: &Ledger, id: u8, debit: u8, credit: u8, flags: u16, hold: &str) -> String {
    let (one, two) =
        ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002");
    let statement = format!(
        "SELECT coalesce(reasons[1], 'applied') FROM giro.apply_transfers(
             shard => 0, token => 1, server => 'test', not_after => NULL,
             account_ledgers => '{{1,1,2,2}}', account_ids => '{{{one},{two},{one},{two}}}',
             ids => ARRAY[lpad('{id}', 32, '0')::uuid], ledgers => '{{1}}',
             debit_accounts => '{{{debit}}}', credit_accounts => '{{{credit}}}', amounts => '{{1}}',
             codes => '{{1}}', flags => '{{{flags}}}', pending_ids => {hold}, timeouts => NULL,
             \"references\" => NULL, metadatas => NULL, timestamps => NULL,
             expect_debit_versions => NULL, expect_credit_versions => NULL, chain_scopes => NULL,
             requests => '{{0}}')"
    );
    let session = connect(&ledger.server.database.server_url).await;
    session.query_one(&statement, &[]).await.expect("a judgement").get(0)
}

#[tokio::test]
async fn accounts_and_transfer_have_the_same_ledger() {
    let ledger = Ledger::new().await;
    ledger
        .accounts(json!([{"id": 1}, {"id": 2}, {"id": 1, "ledger": 2}, {"id": 2, "ledger": 2}]))
        .await;
    for (id, debit, credit, expected) in [
        (11, 1, 4, "accounts_must_have_the_same_ledger"),
        (12, 3, 2, "accounts_must_have_the_same_ledger"),
        (13, 3, 4, "transfer_must_have_the_same_ledger_as_accounts"),
        // Neither burns the id.
        (11, 1, 2, "applied"),
        (13, 1, 2, "applied"),
    ] {
        assert_eq!(
            judge(&ledger, id, debit, credit, 0, "NULL").await,
            expected,
            "{debit}, {credit}"
        );
    }
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_hold_has_the_ledger_of_the_accounts_that_are_given() {
    let ledger = Ledger::new().await;
    ledger
        .accounts(json!([{"id": 1}, {"id": 2}, {"id": 1, "ledger": 2}, {"id": 2, "ledger": 2}]))
        .await;
    let named = "ARRAY[lpad('10', 32, '0')::uuid]";
    let post = 4;
    // An id is a hexadecimal number here: 16.
    assert_eq!(ledger.apply(json!([hold(16, json!({}))])).await, ["applied"]);
    for (id, debit, credit, expected) in [
        (21, 3, 2, "pending_transfer_has_different_ledger"),
        (21, 1, 4, "pending_transfer_has_different_ledger"),
        (21, 2, 4, "pending_transfer_has_different_debit_account"),
        (21, 1, 2, "applied"),
    ] {
        assert_eq!(
            judge(&ledger, id, debit, credit, post, named).await,
            expected,
            "{debit}, {credit}"
        );
    }
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_post_or_void_without_a_pending_id_names_the_hold_zero() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    for (id, flag) in [(11, 4), (12, 8)] {
        assert_eq!(judge(&ledger, id, 1, 2, flag, "NULL").await, "pending_id_must_not_be_zero");
    }
}

/// Accounts 1 to 3 in another order in the table than that of their ids, and so many others that a plan which
/// does not look each up reads the table as it lies there. Account 2 has a limit.
async fn disordered() -> Ledger {
    let ledger = Ledger::new().await;
    for id in [3, 2, 1] {
        let flags = if id == 2 { json!(["debits_must_not_exceed_credits"]) } else { json!([]) };
        ledger.accounts(json!([{"id": id, "flags": flags}])).await;
    }
    for first in [1_000, 2_000] {
        let more: Vec<_> = (first..first + 1_000).map(|id| json!({"id": id})).collect();
        ledger.accounts(json!(more)).await;
    }
    let superuser = ledger.server.database.superuser().await;
    superuser.batch_execute("ANALYZE giro.account_state").await.unwrap();
    ledger
}

/// One call of which a part is refused.
async fn apply(session: &tokio_postgres::Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let item = |id: u8, debit: u8, credit: u8, amount: u8| {
        let accounts = json!({"debit_account": debit, "credit_account": credit});
        direct::transfer(super::with(
            &super::transfer(id.into(), json!({"amount": amount})),
            accounts,
        ))
    };
    let items = [item(101, 1, 2, 10), item(102, 2, 3, 7), item(103, 2, 1, 5), item(104, 3, 1, 1)];
    direct::apply(session, &items.map(|item| vec![item])).await
}

#[tokio::test]
async fn a_session_that_sets_the_planner_otherwise_moves_the_same_money() {
    let ledger = disordered().await;
    let session = connect(&ledger.server.database.server_url).await;
    let off = "SET enable_indexscan = off; SET enable_nestloop = off; SET enable_tidscan = off";
    session.batch_execute(off).await.unwrap();
    let answers = apply(&session).await.unwrap();
    assert_eq!(answers, ["applied", "applied", "exceeds_credits", "applied"]);
    assert_eq!(ledger.balances(1).await, [0, 10, 0, 1]);
    assert_eq!(ledger.balances(2).await, [0, 7, 0, 10]);
    assert_eq!(ledger.balances(3).await, [0, 1, 0, 7]);
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn accounts_that_come_in_another_order_than_theirs_stop_the_call() {
    let ledger = disordered().await;
    let superuser = ledger.server.database.superuser().await;
    for set in ["indexscan = off", "nestloop = off"] {
        let alter = format!("ALTER FUNCTION giro.apply_transfers SET enable_{set}");
        superuser.batch_execute(&alter).await.unwrap();
    }
    let session = connect(&ledger.server.database.server_url).await;
    assert_eq!(direct::sqlstate(apply(&session).await), "XX001");
    assert_eq!(ledger.balances(1).await, [0; 4]);
    ledger.server.database.assert_consistent().await;
}
