//! The commands as a shell sees them.

use giro_tests::{ServerProcess, TestDatabase, TestServer};
use rustix::process::Signal;
use serde_json::json;
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
    let current = format!("schema version {}", giro_ledger::schema::version());
    assert!(ok && !said.contains("applied") && said.contains(&current), "{said}");
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

#[tokio::test]
async fn dev_serves_stops_and_finds_its_data_again() {
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().to_str().expect("UTF-8");
    let dev = ["dev", "--data-dir", data];
    let server = ServerProcess::run(program, &dev, &[]).await;
    let accounts = json!([{"id": 1}, {"id": 2}]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    let transfer = json!({"id": 9, "debit_account": 1, "credit_account": 2, "amount": 3});
    assert_eq!(server.client.post("/transfer", &transfer).await.outcome(), "applied");
    server.signal(Signal::INT);
    assert!(server.ended().await.success());
    let server = ServerProcess::run(program, &dev, &[]).await;
    assert_eq!(server.client.post("/transfer", &transfer).await.json["replayed"], true);
    assert_eq!(server.client.get("/accounts/2").await.json["credits_posted"], "3");
    server.signal(Signal::TERM);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn bench_reports_on_a_server_and_healthcheck_finds_it() {
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = TestServer::start().await;
    let url = format!("http://{}", server.address());
    let bench = async |more: &[&str]| {
        let database_url = server.database.server_url.as_str();
        let few = [
            "bench",
            "--url",
            &url,
            "--database-url",
            database_url,
            "--connections",
            "4",
            "--duration",
            "1s",
            "--warmup",
            "100ms",
            "--accounts",
            "50",
        ];
        giro(&[&few[..], more].concat(), &[]).await
    };
    let (ok, table, said) = bench(&[]).await;
    assert!(ok, "{said}");
    for shown in ["fsync=on", "synchronous_commit=on", "full_page_writes=on", "p99.9"] {
        assert!(table.contains(shown), "no {shown} in {table}");
    }
    let (ok, report, said) = bench(&["--bulk", "10", "--json"]).await;
    assert!(ok, "{said}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert!(report["throughput"]["transfers_per_second"].as_f64().is_some_and(|rate| rate > 0.0));
    server.database.assert_consistent().await;
    let admin = server.admin_address().to_string();
    let output =
        Command::new(program).arg("healthcheck").env("GIRO__ADMIN__LISTEN", admin).output();
    assert!(output.await.expect("the program runs").status.success());
}

#[tokio::test]
async fn logs_tell_neither_secrets_nor_amounts() {
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let database = TestDatabase::new().await;
    // Any password will do here: the socket's directory is the lock.
    let url = database.server_url.replace("giro_app@", "giro_app:canary-password@");
    assert!(url.contains("canary-password"));
    for (filter, secrets) in [
        ("info", &["canary-password", "918273645", "canary-reference", "0000-0000000c0de1"][..]),
        ("trace", &["canary-password", "918273645", "canary-reference"][..]),
    ] {
        let environment = [("DATABASE_URL", url.as_str()), ("GIRO__LOG__FILTER", filter)];
        let server = ServerProcess::run(program, &["serve"], &environment).await;
        let accounts = json!([{"id": 0xc0de1}, {"id": 0xc0de2}]);
        assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
        let transfer = json!({"debit_account": 0xc0de1, "credit_account": 0xc0de2,
                              "amount": 918_273_645, "reference": "canary-reference"});
        assert_eq!(server.client.post("/transfer", &transfer).await.outcome(), "applied");
        assert_eq!(server.client.get("/accounts/nonsense").await.status, 400);
        let log = server.log.clone();
        server.signal(Signal::TERM);
        assert!(server.ended().await.success());
        let log = log.lock().expect("the log").clone();
        assert!(log.contains("\"serving\""), "{log}");
        for secret in secrets {
            assert!(!log.contains(secret), "{secret} at {filter}");
        }
    }
}
