//! What only a caller of the SQL function itself can do: its arrays name accounts of any ledger.

use super::{Ledger, hold};
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
