//! `giro verify` is silent on what the functions made, and finds what they cannot have made.

mod command;
mod corruptions;
mod used_ledger;

use giro_ledger::Connector;
use giro_ledger::verify::{Report, verify};
use giro_tests::{TestDatabase, TestServer};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use used_ledger::{hold, judged, post, transfer, used_ledger, with};

async fn audit(url: &str) -> Report {
    let patience = Duration::from_secs(10);
    let connector = Connector::new(url, patience, Duration::ZERO, patience).expect("a URL");
    verify(&connector, 100, &mut |_| ()).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_used_ledger_is_sound_for_every_role() {
    let database = used_ledger().await;
    for url in [&database.server_url, &database.owner_url] {
        let report = audit(url).await;
        assert!(report.clean, "{report}");
        for check in &report.checks {
            assert!(check.looked_at > 0, "{} had nothing to look at", check.name.name());
        }
    }
}

#[tokio::test]
async fn an_empty_ledger_is_sound() {
    let report = audit(&TestDatabase::new().await.server_url).await;
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
            let report = audit(&server.database.server_url).await;
            assert!(report.clean, "{report}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(write, look);
    assert!(last > 1000, "nothing was written meanwhile");
}
