//! Which reason is given where several are true: ladders. An item begins with every fault that it can
//! have at once; each step mends the one that was answered, and so meets the next.

use super::reasons::ledger;
use super::{MAX, answer, at, transfer, with};
use serde_json::{Value, json};

/// What is mended, and the answer then. `null` takes a field away. Without an id of its own, a step has a
/// new one.
type Ladder = Vec<(Value, &'static str)>;

/// Every fault that an item can have. An imported item comes first in its request, or none.
fn all_faults() -> Value {
    json!({
        "id": 0, "ledger": 0, "debit_account": 0, "credit_account": 0, "code": 0,
        "amount": (u128::MAX / 2).to_string(), "pending_id": 5, "timeout": i64::MAX,
        "flags": ["post_pending", "void_pending", "pending", "closing_debit", "imported"],
        "expect": {"debit_version": 999, "credit_version": 999}, "timestamp": at(1000),
        "reference": "other", "metadata": {"other": 1},
    })
}

/// Of a request that begins with a transfer of today. 11 is applied, 19 is burnt.
fn known_ids() -> Ladder {
    let flags = ["post_pending", "void_pending", "pending", "closing_debit"];
    vec![
        (json!({}), "imported_event_not_expected"),
        (json!({"flags": flags}), "timestamp_must_be_absent"),
        (json!({"timestamp": null}), "id_must_not_be_zero"),
        (json!({"id": MAX}), "id_must_not_be_max"),
        (json!({"id": 19, "ledger": 1}), "=debit_account_not_found"),
        (json!({"id": 11}), "exists_with_different_flags"),
        (json!({"flags": null}), "exists_with_different_pending_id"),
        (json!({"pending_id": null}), "exists_with_different_timeout"),
        (json!({"timeout": null}), "exists_with_different_debit_account"),
        (json!({"debit_account": 1}), "exists_with_different_credit_account"),
        (json!({"credit_account": 2}), "exists_with_different_amount"),
        (json!({"amount": 5}), "exists_with_different_reference"),
        (json!({"reference": "r"}), "exists_with_different_metadata"),
        (json!({"metadata": {"k": 1}}), "exists_with_different_code"),
        (json!({"code": 7}), "=applied"),
    ]
}

/// Of holds, and but for the flag of direct transfers.
fn holds() -> Ladder {
    let flags = ["post_pending", "void_pending", "pending", "closing_debit"];
    vec![
        (json!({"id": null, "timestamp": null, "flags": flags}), "flags_are_mutually_exclusive"),
        (json!({"flags": ["closing_debit"]}), "debit_account_must_not_be_zero"),
        (json!({"debit_account": MAX}), "debit_account_must_not_be_max"),
        (json!({"debit_account": 98}), "credit_account_must_not_be_zero"),
        (json!({"credit_account": MAX}), "credit_account_must_not_be_max"),
        (json!({"credit_account": 98}), "accounts_must_be_different"),
        (json!({"credit_account": 99}), "pending_id_must_be_absent"),
        (json!({"pending_id": null}), "timeout_reserved_for_pending_transfer"),
        (json!({"timeout": null}), "closing_transfer_must_be_pending"),
        (json!({"flags": ["pending"], "timeout": i64::MAX}), "ledger_must_not_be_zero"),
        (json!({"ledger": 1}), "code_must_not_be_zero"),
        (json!({"code": 1}), "debit_account_not_found"),
        (json!({"debit_account": 5}), "credit_account_not_found"),
        (json!({"credit_account": 6}), "debit_account_already_closed"),
        (json!({"debit_account": 9}), "credit_account_already_closed"),
        (json!({"credit_account": 10}), "overflows_debits_pending"),
        (json!({"debit_account": 7}), "overflows_credits_pending"),
        (json!({"credit_account": 8}), "overflows_debits_posted"),
        (json!({"debit_account": 11}), "overflows_credits_posted"),
        (json!({"credit_account": 12}), "overflows_debits"),
        (json!({"debit_account": 3}), "overflows_credits"),
        (json!({"credit_account": 4}), "overflows_timeout"),
        (json!({"timeout": null}), "version_mismatch"),
        (json!({"expect": {"credit_version": 999}}), "version_mismatch"),
        (json!({"expect": null}), "exceeds_credits"),
        (json!({"debit_account": 1}), "exceeds_debits"),
        (json!({"credit_account": 2}), "applied"),
    ]
}

/// Of posting.
fn posts() -> Ladder {
    let start = json!({
        "id": 50, "timestamp": null, "flags": ["post_pending"], "pending_id": 0, "debit_account": 98,
        "credit_account": 98, "code": 9,
    });
    vec![
        (start, "pending_id_must_not_be_zero"),
        (json!({"pending_id": MAX}), "pending_id_must_not_be_max"),
        (json!({"pending_id": 50}), "pending_id_must_be_different"),
        (json!({"id": null, "pending_id": 98}), "timeout_reserved_for_pending_transfer"),
        (json!({"timeout": null}), "ledger_must_not_be_zero"),
        (json!({"ledger": 1}), "pending_transfer_not_found"),
        (json!({"pending_id": 11}), "pending_transfer_not_pending"),
        (json!({"pending_id": 13}), "pending_transfer_has_different_debit_account"),
        (json!({"debit_account": 1}), "pending_transfer_has_different_credit_account"),
        (json!({"credit_account": 0}), "pending_transfer_has_different_code"),
        (json!({"code": 0}), "exceeds_pending_transfer_amount"),
        (json!({"amount": 1}), "pending_transfer_already_posted"),
        (json!({"pending_id": 14, "debit_account": 0}), "pending_transfer_already_voided"),
        (json!({"pending_id": 15}), "pending_transfer_expired"),
        (json!({"pending_id": 16}), "debit_account_already_closed"),
        (json!({"pending_id": 17}), "credit_account_already_closed"),
        (json!({"pending_id": 12}), "version_mismatch"),
        (json!({"expect": null}), "applied"),
    ]
}

/// Of voiding, where it is not as posting: the amount, and closed accounts.
fn voids() -> Ladder {
    let start = json!({
        "id": null, "timestamp": null, "timeout": null, "ledger": 1, "flags": ["void_pending"],
        "pending_id": 13, "code": 9,
    });
    vec![
        (start, "pending_transfer_has_different_code"),
        (json!({"code": 0}), "pending_transfer_has_different_amount"),
        (json!({"amount": 100}), "pending_transfer_already_posted"),
        (json!({"pending_id": 14}), "pending_transfer_already_voided"),
        (json!({"pending_id": 15}), "pending_transfer_expired"),
        (json!({"pending_id": 16}), "version_mismatch"),
        (json!({"expect": null}), "applied"),
    ]
}

/// Of a request that begins with an import. 20 and 21 were imported 1000 s ago and moved 500 s ago, 22 and
/// 23 are closed, and as old.
fn imports() -> Ladder {
    let mended = json!({
        "id": null, "ledger": 1, "code": 1, "pending_id": null, "debit_account": 3, "credit_account": 98,
        "flags": ["imported", "pending"], "timestamp": at(-500),
    });
    vec![
        (json!({"flags": ["pending"]}), "imported_event_expected"),
        (json!({"flags": ["imported"]}), "imported_event_timestamp_must_not_advance"),
        (json!({"timestamp": at(-500)}), "id_must_not_be_zero"),
        (mended, "credit_account_not_found"),
        (json!({"credit_account": 4}), "imported_event_timestamp_must_not_regress"),
        (json!({"timestamp": at(-400)}), "imported_event_timestamp_must_postdate_debit_account"),
        (json!({"debit_account": 22}), "imported_event_timestamp_must_postdate_credit_account"),
        (json!({"credit_account": 23}), "imported_event_timeout_must_be_zero"),
        (json!({"timeout": null}), "debit_account_already_closed"),
        (json!({"debit_account": 20}), "credit_account_already_closed"),
        (json!({"credit_account": 21}), "version_mismatch"),
        (json!({"expect": null}), "applied"),
    ]
}

/// Every reason that is a step of some ladder.
pub(super) fn reasons() -> Vec<&'static str> {
    let ladders = [known_ids(), holds(), posts(), voids(), imports()].concat();
    let reasons = ladders.into_iter().map(|(_, answer)| answer.trim_start_matches('='));
    reasons.filter(|reason| *reason != "applied").collect()
}

#[tokio::test]
async fn the_first_reason_in_order_of_precedence_is_the_answer() {
    let ledger = ledger().await;
    let old =
        |id: i64, flags: Value| json!({"id": id, "flags": flags, "timestamp": at(-1000 + id)});
    ledger
        .accounts(json!([
            old(20, json!(["imported"])),
            old(21, json!(["imported"])),
            old(22, json!(["imported", "closed"])),
            old(23, json!(["imported", "closed"])),
        ]))
        .await;
    let imported = json!({
        "debit_account": 20, "credit_account": 21, "flags": ["imported"], "timestamp": at(-500),
    });
    assert_eq!(ledger.apply(json!([transfer(60, imported)])).await, ["applied"]);
    let burnt = transfer(19, json!({"debit_account": 98}));
    assert_eq!(ledger.apply(json!([burnt])).await, ["debit_account_not_found"]);
    let mut next = 1000;
    for (name, ladder, first_flags) in [
        ("known ids", known_ids(), json!([])),
        ("holds", holds(), json!([])),
        ("posts", posts(), json!([])),
        ("voids", voids(), json!([])),
        ("imports", imports(), json!(["imported"])),
    ] {
        // Refused itself, the first item still says whether the request imports.
        let first = transfer(0, json!({"flags": first_flags}));
        let first = if first_flags == json!([]) {
            first
        } else {
            with(&first, json!({"timestamp": at(-1)}))
        };
        let mut item = all_faults();
        for (mended, expected) in ladder {
            item = with(&item, mended.clone());
            next += 1;
            let sent = match item.get("id") {
                Some(_) => item.clone(),
                None => with(&item, json!({"id": next})),
            };
            let reply = ledger.server.client.post("/transfers", &json!([first, sent])).await;
            assert_eq!(answer(&reply.json[1]), expected, "{name}, {mended}: {}", reply.text);
        }
    }
    ledger.server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_broken_chain_comes_before_every_other_reason() {
    let ledger = ledger().await;
    let faults = with(&all_faults(), json!({"flags": ["linked", "post_pending", "void_pending"]}));
    // As the last item it is open; behind a member that failed, it failed with it, open or not.
    let alone = ledger.apply(json!([faults])).await;
    assert_eq!(alone, ["linked_event_chain_open"]);
    let failed = transfer(0, json!({"flags": ["linked"]}));
    let chain = ledger.apply(json!([failed, faults, faults])).await;
    assert_eq!(chain, ["id_must_not_be_zero", "linked_event_failed", "linked_event_failed"]);
}
