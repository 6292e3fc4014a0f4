//! What was told, held against what is stored.

use giro_tests::{Reply, TestDatabase};
use std::collections::BTreeMap;

/// What a caller was told of a transfer.
pub(super) struct Told {
    pub(super) id: u64,
    pub(super) reply: Reply,
}

/// What is stored of an id: the reason of each decision, or nothing where it was applied.
type Stored = BTreeMap<u64, Vec<Option<String>>>;

/// Everything that is not true, one sentence each.
pub(super) async fn untruths(database: &TestDatabase, told: &[Told]) -> Vec<String> {
    let stored = stored(database).await;
    let none = Vec::new();
    let mut found = Vec::new();
    for Told { id, reply } in told {
        let is = stored.get(id).unwrap_or(&none);
        let applied = [None];
        let refused = [Some(reply.reason().to_owned())];
        let fits = match (reply.outcome(), reply.reason()) {
            ("applied", _) => is[..] == applied,
            ("rejected", "refused_by_database") | ("not_applied", _) => is.is_empty(),
            ("rejected", _) => is[..] == refused,
            ("unknown", _) => is.len() <= 1,
            _ => false,
        };
        if !fits {
            found.push(format!("{id} is told {} and stored as {is:?}", reply.outcome()));
        }
    }
    for id in stored.keys().filter(|id| !told.iter().any(|told| told.id == **id)) {
        found.push(format!("nobody has asked for {id}"));
    }
    let beyond = "SELECT count(*) FROM giro.account_state
                   WHERE flags & 2 <> 0
                     AND debits_pending + debits_posted > credits_posted + overdraft_limit";
    if database.number(beyond).await > 0 {
        found.push("an account is past its limit".into());
    }
    if found.is_empty() {
        let report = database.audit().await;
        if !report.clean {
            found.push(report.to_string());
        }
    }
    found
}

/// Nothing is unknown where no session was lost.
pub(super) fn unknowns(told: &[Told]) -> Vec<String> {
    let unknown = told.iter().filter(|told| told.reply.outcome() == "unknown");
    unknown.map(|told| format!("{} is told unknown, and nothing has happened", told.id)).collect()
}

async fn stored(database: &TestDatabase) -> Stored {
    let all = "SELECT id::text, reason FROM giro.decisions";
    let mut stored = Stored::new();
    for row in database.superuser().await.query(all, &[]).await.expect(all) {
        let id = u128::from_str_radix(&row.get::<_, &str>(0).replace('-', ""), 16).expect("an id");
        // Nobody sends such large ones.
        stored.entry(u64::try_from(id).unwrap_or(u64::MAX)).or_default().push(row.get(1));
    }
    stored
}
