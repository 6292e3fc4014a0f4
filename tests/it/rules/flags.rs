//! "Post and void exclude each other and pending, balancing_*, closing_*. Pending, balancing_* and
//! closing_* combine freely; closing_* needs pending. `linked` and `imported` combine with all."

use super::{Ledger, at, hold, linked, transfer, with};
use serde_json::json;

const FLAGS: [&str; 7] = [
    "pending",
    "post_pending",
    "void_pending",
    "balancing_debit",
    "balancing_credit",
    "closing_debit",
    "closing_credit",
];

/// Every set of these flags, and what is said of it.
fn sets() -> Vec<(Vec<&'static str>, &'static str)> {
    let set = |bits: usize| {
        let set: Vec<_> =
            (0..FLAGS.len()).filter(|n| bits >> n & 1 == 1).map(|n| FLAGS[n]).collect();
        let has = |part: &str| set.iter().any(|flag| flag.starts_with(part));
        let resolves = has("post") || has("void");
        let excluded = has("pending") || has("balancing") || has("closing");
        let answer = if has("post") && has("void") || resolves && excluded {
            "flags_are_mutually_exclusive"
        } else if has("closing") && !has("pending") {
            "closing_transfer_must_be_pending"
        } else {
            "applied"
        };
        (set, answer)
    };
    (0..1 << FLAGS.len()).map(set).collect()
}

/// A set of flags with one more: on a transfer between two accounts of its own, which some of them close,
/// and with a hold of its own.
async fn judge(ledger: &Ledger, id: u32, set: &[&str], more: Option<&str>) -> Vec<String> {
    let imports = more == Some("imported");
    let at = |seconds: u32| imports.then(|| at(i64::from(id + seconds) - 100_000));
    let flags = |set: &[&str]| {
        let imported = if imports { vec!["imported"] } else { vec![] };
        json!([set, &imported].concat())
    };
    let account =
        |n| with(&json!({"id": id + n, "flags": flags(&[])}), json!({"timestamp": at(n)}));
    ledger.accounts(json!([account(0), account(1)])).await;

    let accounts = json!({"debit_account": id, "credit_account": id + 1});
    let own = json!({"flags": flags(&["pending"]), "timestamp": at(2)});
    let held = with(&with(&hold(id + 2, json!({})), accounts.clone()), own);
    assert_eq!(ledger.apply(json!([held])).await, ["applied"]);

    let mut item =
        with(&transfer(id + 3, accounts), json!({"flags": flags(set), "timestamp": at(3)}));
    if set.contains(&"post_pending") || set.contains(&"void_pending") {
        item["pending_id"] = json!(id + 2);
    }
    if more != Some("linked") {
        return ledger.apply(json!([item])).await;
    }
    let last = transfer(id + 4, json!({"flags": []}));
    ledger.apply(linked(vec![item, last])).await
}

#[tokio::test]
async fn every_combination_of_flags_is_applied_or_refused_as_the_rules_say() {
    let ledger = Ledger::new().await;
    ledger.accounts(json!([{"id": 1}, {"id": 2}])).await;
    let mut id = 0;
    for more in [None, Some("linked"), Some("imported")] {
        for (set, answer) in sets() {
            id += 10;
            let expected = match (more, answer) {
                (Some("linked"), "applied") => vec!["applied", "applied"],
                (Some("linked"), _) => vec![answer, "linked_event_failed"],
                _ => vec![answer],
            };
            assert_eq!(judge(&ledger, id, &set, more).await, expected, "{set:?} and {more:?}");
        }
    }
    ledger.server.database.assert_consistent().await;
}
