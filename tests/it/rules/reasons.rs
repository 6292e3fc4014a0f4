//! Every reason by itself.

use super::{Ledger, MAX, answer, hold, post, transfer, void, with};
use giro_ledger::Reason;
use serde_json::{Value, json};

/// What no caller of the API can bring about; `calls.rs` has them.
pub(super) const NOT_BY_HTTP: [&str; 4] = [
    // The server's own.
    "refused_by_database",
    "accounts_must_have_the_same_ledger",
    "transfer_must_have_the_same_ledger_as_accounts",
    "pending_transfer_has_different_ledger",
];

/// Those of accounts alone; `accounts.rs` has them.
const OF_ACCOUNTS: [&str; 1] = ["exists_with_different_overdraft_limit"];

/// Accounts: 1 and 2 have no limit, 3 may not be debited, 4 not credited, 5 and 6 are closed, 7 to 10 are
/// full, 98 and 99 do not exist. Transfers: 11 is direct, 12 to 16 are holds of 100.
pub(super) async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    let half = json!((u128::MAX / 2).to_string());
    ledger
        .accounts(json!([
            {"id": 1}, {"id": 2}, {"id": 3, "flags": ["debits_must_not_exceed_credits"]},
            {"id": 4, "flags": ["credits_must_not_exceed_debits"]},
            {"id": 5, "flags": ["closed"]}, {"id": 6, "flags": ["closed"]},
            {"id": 7}, {"id": 8}, {"id": 9}, {"id": 10}, {"id": 11}, {"id": 12}, {"id": 13}, {"id": 14},
        ]))
        .await;
    let closing = ["pending", "closing_debit", "closing_credit"];
    let full = |id, debit, credit, changes| {
        with(&transfer(id, json!({"debit_account": debit, "credit_account": credit})), changes)
    };
    let done = ledger
        .apply(json!([
            transfer(11, json!({"amount": 5, "reference": "r", "metadata": {"k": 1}, "code": 7})),
            hold(12, json!({"amount": 100, "code": 7})),
            hold(13, json!({"amount": 100})),
            hold(14, json!({"amount": 100})),
            full(15, 13, 14, json!({"amount": 100, "flags": ["pending"], "timeout": 1})),
            full(16, 13, 14, json!({"amount": 100, "flags": ["pending"]})),
            full(17, 1, 14, json!({"amount": 100, "flags": ["pending"]})),
            full(18, 13, 14, json!({"flags": closing})),
            post(23, 13, json!({})),
            void(24, 14, json!({})),
            full(27, 7, 8, json!({"amount": MAX})),
            full(28, 9, 10, json!({"amount": MAX, "flags": ["pending"]})),
            full(29, 11, 12, json!({"amount": half, "flags": ["pending"]})),
            full(30, 11, 12, json!({"amount": half})),
        ]))
        .await;
    assert_eq!(done, ["applied"; 14]);
    ledger.wait(super::SECOND).await;
    ledger
}

/// An item, the reason why it is refused, and whether that burns its id. The ids are given later.
fn table() -> Vec<(Value, &'static str, bool)> {
    let direct = |changes| transfer(0, changes);
    let hold = |changes| hold(0, changes);
    let post = |of, changes| post(0, of, changes);
    let void = |of, changes| void(0, of, changes);
    let expects = |side: &str| json!({"expect": {side: 999}});
    let at = super::at;
    vec![
        (direct(json!({"flags": ["linked"]})), "linked_event_chain_open", false),
        (direct(json!({"timestamp": at(-1)})), "timestamp_must_be_absent", false),
        (
            direct(json!({"flags": ["imported"], "timestamp": at(2)})),
            "imported_event_timestamp_must_not_advance",
            false,
        ),
        (
            post(12, json!({"flags": ["post_pending", "void_pending"]})),
            "flags_are_mutually_exclusive",
            false,
        ),
        (
            post(12, json!({"flags": ["post_pending", "pending"]})),
            "flags_are_mutually_exclusive",
            false,
        ),
        (
            void(12, json!({"flags": ["void_pending", "balancing_debit"]})),
            "flags_are_mutually_exclusive",
            false,
        ),
        (
            void(12, json!({"flags": ["void_pending", "closing_credit"]})),
            "flags_are_mutually_exclusive",
            false,
        ),
        (direct(json!({"debit_account": 0})), "debit_account_must_not_be_zero", false),
        (direct(json!({"debit_account": MAX})), "debit_account_must_not_be_max", false),
        (direct(json!({"credit_account": 0})), "credit_account_must_not_be_zero", false),
        (direct(json!({"credit_account": MAX})), "credit_account_must_not_be_max", false),
        (direct(json!({"credit_account": 1})), "accounts_must_be_different", false),
        (direct(json!({"pending_id": 12})), "pending_id_must_be_absent", false),
        (hold(json!({"pending_id": 0})), "pending_id_must_be_absent", false),
        (post(0, json!({})), "pending_id_must_not_be_zero", false),
        (void(0, json!({"pending_id": MAX})), "pending_id_must_not_be_max", false),
        (direct(json!({"timeout": 1})), "timeout_reserved_for_pending_transfer", false),
        (post(12, json!({"timeout": 1})), "timeout_reserved_for_pending_transfer", false),
        (direct(json!({"flags": ["closing_debit"]})), "closing_transfer_must_be_pending", false),
        (direct(json!({"ledger": 0})), "ledger_must_not_be_zero", false),
        (post(12, json!({"ledger": 0})), "ledger_must_not_be_zero", false),
        (direct(json!({"code": 0})), "code_must_not_be_zero", false),
        (direct(json!({"debit_account": 98})), "debit_account_not_found", true),
        (direct(json!({"credit_account": 98})), "credit_account_not_found", true),
        (direct(json!({"ledger": 2})), "debit_account_not_found", true),
        (post(98, json!({})), "pending_transfer_not_found", true),
        (void(12, json!({"ledger": 2})), "pending_transfer_not_found", true),
        (post(11, json!({})), "pending_transfer_not_pending", false),
        (
            post(12, json!({"debit_account": 2})),
            "pending_transfer_has_different_debit_account",
            false,
        ),
        (
            void(12, json!({"credit_account": 1})),
            "pending_transfer_has_different_credit_account",
            false,
        ),
        (post(12, json!({"code": 8})), "pending_transfer_has_different_code", false),
        (post(12, json!({"amount": 101})), "exceeds_pending_transfer_amount", false),
        (void(12, json!({"amount": 99})), "pending_transfer_has_different_amount", false),
        (void(12, json!({"amount": 0})), "pending_transfer_has_different_amount", false),
        (void(12, json!({"amount": 101})), "pending_transfer_has_different_amount", false),
        (void(12, json!({"amount": MAX})), "pending_transfer_has_different_amount", false),
        (post(13, json!({})), "pending_transfer_already_posted", false),
        (void(13, json!({})), "pending_transfer_already_posted", false),
        (post(14, json!({})), "pending_transfer_already_voided", false),
        (void(14, json!({})), "pending_transfer_already_voided", false),
        (post(15, json!({})), "pending_transfer_expired", false),
        (void(15, json!({})), "pending_transfer_expired", false),
        (
            direct(json!({"flags": ["imported"], "timestamp": at(0)})),
            "imported_event_timestamp_must_not_regress",
            false,
        ),
        (direct(json!({"debit_account": 5})), "debit_account_already_closed", true),
        (direct(json!({"credit_account": 5})), "credit_account_already_closed", true),
        (post(16, json!({})), "debit_account_already_closed", true),
        (post(17, json!({})), "credit_account_already_closed", true),
        (hold(json!({"debit_account": 9})), "overflows_debits_pending", false),
        (hold(json!({"credit_account": 10})), "overflows_credits_pending", false),
        (direct(json!({"debit_account": 7})), "overflows_debits_posted", false),
        (hold(json!({"debit_account": 7})), "overflows_debits_posted", false),
        (direct(json!({"credit_account": 8})), "overflows_credits_posted", false),
        (direct(json!({"debit_account": 9})), "overflows_debits", false),
        (direct(json!({"credit_account": 10})), "overflows_credits", false),
        (hold(json!({"timeout": i64::MAX})), "overflows_timeout", false),
        (hold(json!({"timeout": 9_300_000_000_000_i64})), "overflows_timeout", false),
        (direct(expects("debit_version")), "version_mismatch", true),
        (direct(expects("credit_version")), "version_mismatch", true),
        (post(12, expects("credit_version")), "version_mismatch", true),
        (direct(json!({"debit_account": 3})), "exceeds_credits", true),
        (direct(json!({"credit_account": 4})), "exceeds_debits", true),
    ]
}

#[tokio::test]
async fn each_reason_answers_its_item_and_only_those_of_state_burn_the_id() {
    let ledger = ledger().await;
    for (id, (item, reason, burns)) in (100..).zip(table()) {
        let item = with(&item, json!({"id": id}));
        let path = match item["timestamp"].is_null() {
            true => "/transfer",
            false => "/transfers",
        };
        for repeat in [false, true] {
            let reply = match path {
                "/transfer" => ledger.one(item.clone()).await,
                _ => ledger.server.client.post(path, &json!([item])).await.json[0].clone(),
            };
            let expected = format!("{}{reason}", if repeat && burns { "=" } else { "" });
            assert_eq!(answer(&reply), expected, "{item}");
        }
        // A burnt id has that answer for every content, also for a good one.
        let good = with(&transfer(id, json!({})), json!({"ledger": item["ledger"]}));
        let expected = match (burns, item["ledger"].is_null()) {
            (true, _) => format!("={reason}"),
            (false, true) => "applied".into(),
            (false, false) => continue,
        };
        assert_eq!(answer(&ledger.one(good).await), expected, "after {item}");
    }
    ledger.server.database.assert_consistent().await;
}

#[test]
fn the_tables_of_reasons_leave_none_out() {
    let mut in_tables: Vec<&str> = table().into_iter().map(|(_, reason, _)| reason).collect();
    in_tables.extend(super::precedence::reasons());
    in_tables.extend(NOT_BY_HTTP.iter().chain(&OF_ACCOUNTS));
    in_tables.extend(["linked_event_failed", "exists"]); // `chains.rs`
    in_tables.push("cancelled"); // `../cancel.rs`
    let left_out = Reason::ALL.iter().map(|reason| reason.name());
    let left_out: Vec<_> = left_out.filter(|reason| !in_tables.contains(reason)).collect();
    assert_eq!(left_out, [""; 0]);
    for reason in &in_tables {
        assert!(Reason::from_name(reason).is_some(), "{reason} is unknown");
    }
    for (_, reason, burns) in table() {
        let recorded = Reason::from_name(reason).is_some_and(|reason| reason.is_recorded());
        assert_eq!(recorded, burns, "{reason}");
    }
}

#[tokio::test]
async fn what_json_rules_out_is_not_applied_and_needs_no_reason() {
    let ledger = ledger().await;
    let imported = json!({"flags": ["imported"]});
    for (item, field) in [
        (transfer(100, json!({"expect": {"debit_version": -1}})), "expect"),
        (transfer(100, json!({"expect": {"debit_version": 1.5}})), "expect"),
        (transfer(100, json!({"expect": {"version": 1}})), "expect"),
        (transfer(100, json!({"scope": "chain"})), "scope"),
        (post(100, 12, json!({"scope": "ledger"})), "scope"),
        (post(100, 12, json!({"scope": "chain", "amount": 1})), "amount"),
        (post(100, 12, json!({"pending_id": null})), "pending_id"),
        (transfer(100, imported.clone()), "timestamp"),
        (transfer(100, with(&imported, json!({"timestamp": "yesterday"}))), "timestamp"),
        (transfer(100, with(&imported, json!({"timestamp": 1}))), "timestamp"),
        (hold(100, json!({"timeout": -1})), "timeout"),
        (hold(100, json!({"timeout": 1.5})), "timeout"),
        (hold(100, json!({"timeout": 1_u64 << 63})), "timeout"),
        (transfer(100, json!({"credit_account": null})), "credit_account"),
        (hold(100, json!({"amount": null})), "amount"),
    ] {
        let reply = ledger.server.client.post("/transfer", &item).await;
        assert_eq!(reply.status, 400, "{item}: {}", reply.text);
        assert_eq!((reply.outcome(), reply.reason()), ("not_applied", ""), "{item}");
        assert_eq!(reply.json["field"], field, "{item}: {}", reply.text);
    }
    assert_eq!(ledger.apply(json!([transfer(100, json!({}))])).await, ["applied"]);
}
