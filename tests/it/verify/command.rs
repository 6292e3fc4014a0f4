//! The command as a shell sees it.

use super::used_ledger::{judged, transfer};
use giro_tests::process::run;
use giro_tests::{TestDatabase, TestServer};
use serde_json::{Value, json};

async fn giro_verify(arguments: &[&str], url: Option<&str>) -> (Option<i32>, String, String) {
    run(env!("CARGO_BIN_EXE_giro-under-test"), "verify", arguments, url).await
}

#[tokio::test]
async fn the_command_tells_by_its_exit_code_and_in_two_forms() {
    let server = TestServer::start().await;
    server.accounts(3).await;
    judged(&server.client, "/transfers", &json!([transfer(9, 1, 2, 5)]), "applied").await;
    let url = server.database.server_url.as_str();
    let (code, text, progress) = giro_verify(&[], Some(url)).await;
    assert_eq!(code, Some(0), "{text}{progress}");
    assert!(text.contains("balances_are_folds") && !text.contains("FINDING"), "{text}");
    assert!(progress.contains("accounts") && progress.contains("batches"), "{progress}");
    // The owner may look as well.
    let (code, json, _) = giro_verify(&["--json"], Some(&server.database.owner_url)).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, report["clean"].as_bool()), (Some(0), Some(true)), "{json}");

    let drift = "UPDATE giro.account_state SET credits_posted = credits_posted + 1";
    server.database.superuser().await.batch_execute(drift).await.expect("a drift");
    let (code, text, _) = giro_verify(&["--findings", "2"], Some(url)).await;
    assert_eq!(code, Some(1), "{text}");
    let id = "00000000-0000-0000-0000-000000000001";
    assert!(text.contains(&format!("ledger 1 account {id} - credits_posted")), "{text}");
    assert!(text.contains("expected 0, found 1") && text.contains("and 1 more"), "{text}");
    let (code, json, _) = giro_verify(&["--json"], Some(url)).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, report["clean"].as_bool()), (Some(1), Some(false)), "{json}");
    let checks = report["checks"].as_array().expect("checks");
    let folds = checks.iter().find(|check| check["name"] == "balances_are_folds").expect("a check");
    assert_eq!(
        (&folds["findings"], &folds["shown"][0]["account"]),
        (&json!(3), &json!(id)),
        "{json}"
    );
}

#[tokio::test]
async fn the_command_says_when_it_could_not_look() {
    let unmigrated = TestDatabase::empty().await;
    let nobody = "postgresql://giro@127.0.0.1:1/giro";
    for (arguments, url, why) in [
        (&[][..], None, "DATABASE_URL"),
        (&[], Some(nobody), "connecting"),
        (&[], Some(unmigrated.owner_url.as_str()), "giro migrate"),
        (&["--set", "batch.max_items=0"], None, "batch.max_items"),
        (&["--unknown"], None, "--unknown"),
    ] {
        let (code, text, said) = giro_verify(arguments, url).await;
        assert_eq!((code, text.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
