//! The commands as a shell sees them.

use giro_tests::TestDatabase;
use std::process::Output;
use tokio::process::Command;

async fn giro(arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_giro-under-test"))
        .args(arguments)
        .env_remove("DATABASE_URL")
        .envs(environment.iter().copied())
        .output()
        .await
        .expect("the program runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.success(), text(&stdout), text(&stderr))
}

#[tokio::test]
async fn config_print_prints_what_is_in_force_without_secrets() {
    let secret = ("DATABASE_URL", "postgresql://giro:hunter2@db.example:6432/ledger");
    let set = ["--set", "batch.max_items=500", "config", "print"];
    let (ok, printed, _) = giro(&set, &[secret, ("GIRO__BATCH__IN_FLIGHT", "1")]).await;
    assert!(ok);
    assert!(!printed.contains("hunter2"), "{printed}");
    let printed: toml::Table = printed.parse().expect("TOML");
    assert_eq!(printed["batch"]["max_items"].as_integer(), Some(500));
    assert_eq!(printed["batch"]["in_flight"].as_integer(), Some(1));
    let url = printed["database"]["url"].as_str();
    assert_eq!(url, Some("postgresql://giro:***@db.example:6432/ledger"));
}

#[tokio::test]
async fn config_check_says_what_is_wrong_and_fails() {
    let (ok, said, _) = giro(&["config", "check"], &[]).await;
    assert!(ok && said.contains("sound"), "{said}");
    let wrong = [("GIRO__BATCH__MAX_ITEM", "5")];
    let (ok, _, said) = giro(&["config", "check"], &wrong).await;
    assert!(!ok && said.contains("did you mean `batch.max_items`?"), "{said}");
    let wrong = [("GIRO__QUEUE__MAX_ITEMS", "5"), ("GIRO__SERVER__DRAIN_TIMEOUT", "1s")];
    let (ok, _, said) = giro(&["config", "check"], &wrong).await;
    assert!(!ok, "{said}");
    assert!(said.contains("queue.max_items (5)") && said.contains("(1s)"), "all at once: {said}");
}

#[tokio::test]
async fn migrate_and_serve_say_what_they_need() {
    for command in ["migrate", "serve"] {
        let (ok, _, said) = giro(&[command], &[]).await;
        assert!(!ok && said.contains("DATABASE_URL"), "{command}: {said}");
    }
    let database = TestDatabase::empty().await;
    let owner = [("DATABASE_URL", database.owner_url.as_str())];
    let (ok, said, _) = giro(&["migrate"], &owner).await;
    assert!(ok && said.contains("applied V1__ledger"), "{said}");
    let (ok, said, _) = giro(&["migrate"], &owner).await;
    assert!(ok && !said.contains("applied") && said.contains("schema version 1"), "{said}");
    let server = [("DATABASE_URL", database.server_url.as_str())];
    let (ok, _, said) = giro(&["migrate"], &server).await;
    assert!(!ok && said.contains("42501"), "the server's role does not migrate: {said}");
    let (ok, _, said) = giro(&["healthcheck"], &[("GIRO__ADMIN__LISTEN", "127.0.0.1:1")]).await;
    assert!(!ok && said.contains("127.0.0.1:1"), "{said}");
}

#[tokio::test]
async fn bench_refuses_what_it_could_not_report() {
    let (ok, printed, said) =
        giro(&["bench", "--connections", "0", "--database-url", "x"], &[]).await;
    assert!(!ok && printed.is_empty() && said.contains("connections"), "{said}");
    let database = TestDatabase::new().await;
    let nowhere = ["bench", "--url", "http://127.0.0.1:1", "--database-url", &database.server_url];
    let (ok, printed, said) = giro(&nowhere, &[]).await;
    assert!(!ok && printed.is_empty() && said.contains("127.0.0.1:1"), "{said}");
}
