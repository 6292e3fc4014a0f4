//! `giro verify` is silent on what the functions made, and finds what they cannot have made.

mod command;
mod corruptions;
mod used_ledger;

use giro_tests::{TestDatabase, TestServer};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
pub(crate) use used_ledger::used_ledger;
use used_ledger::{hold, judged, post, transfer, with};

#[tokio::test]
async fn a_used_ledger_is_sound_and_every_check_looked_at_some_of_it() {
    let report = used_ledger().await.audit().await;
    assert!(report.clean, "{report}");
    for check in &report.checks {
        assert!(check.looked_at > 0, "{} had nothing to look at", check.name.name());
    }
}

#[tokio::test]
async fn an_empty_ledger_is_sound() {
    let report = TestDatabase::new().await.audit().await;
    assert!(report.clean, "{report}");
}

#[tokio::test]
async fn a_ledger_in_use_is_sound_at_any_moment() {
    let server = TestServer::start().await;
    server.accounts(4).await;
    let done = AtomicBool::new(false);
    let write = async {
        for id in (1000_u64..).step_by(4) {
            let transfers = json!([
                transfer(id, 1 + id % 3, 4, 1),
                hold(id + 1, 4, 1 + id % 3, 2),
                with(transfer(id + 2, 2, 3, 1), json!({"flags": ["linked"]})),
                post(id + 3, id + 1, Some(1)),
            ]);
            judged(&server.client, "/transfers", &transfers, "applied").await;
            if done.load(Ordering::Relaxed) {
                return id;
            }
        }
        unreachable!("the ids do not end")
    };
    let look = async {
        for _ in 0..5 {
            let report = server.database.audit().await;
            assert!(report.clean, "{report}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(write, look);
    assert!(last > 1000, "nothing was written meanwhile");
}
