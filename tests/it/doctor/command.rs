//! The command as a shell sees it, and its page.

use super::superuser_url;
use giro_ledger::doctor::Check;
use giro_tests::database::connect;
use giro_tests::needs::{self, Need};
use giro_tests::nemesis::FakeClock;
use giro_tests::process::{run, run_in};
use giro_tests::{Halted, TestDatabase, eventually};
use serde_json::Value;
use std::cell::Cell;

async fn giro_doctor(arguments: &[&str], url: Option<&str>) -> (Option<i32>, String, String) {
    run(env!("CARGO_BIN_EXE_giro-under-test"), "doctor", arguments, url).await
}

#[tokio::test]
async fn the_command_tells_by_its_exit_code_and_in_two_forms() {
    let database = TestDatabase::new().await;
    let url = database.server_url.as_str();
    let (code, text, said) = giro_doctor(&[], Some(url)).await;
    assert_eq!(code, Some(0), "{text}{said}");
    assert!(text.contains("0 critical, 0 warning") && text.contains("GRANT pg_monitor"), "{text}");

    let superuser = connect(&superuser_url(&database)).await;
    superuser.batch_execute("ALTER TABLE giro.batches SET (fillfactor = 90)").await.unwrap();
    let (code, text, _) = giro_doctor(&[], Some(url)).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\nWARNING  table_settings         giro.batches has"), "{text}");
    assert!(text.contains("\n    ALTER TABLE giro.batches RESET (fillfactor);\n"), "{text}");

    let disable = "ALTER TABLE giro.batches DISABLE TRIGGER append_only_rows";
    superuser.batch_execute(disable).await.unwrap();
    let arguments = ["--format", "json", "--database-url", &superuser_url(&database)];
    let (code, json, _) = giro_doctor(&arguments, Some("postgresql://nobody@127.0.0.1:1/x")).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, report["worst"].as_str()), (Some(3), Some("critical")), "{json}");
    let first = &report["findings"][0];
    assert_eq!((&first["id"], &first["severity"]), (&"append_only_off".into(), &"critical".into()));
    for field in ["evidence", "remedy", "sql"] {
        assert!(first[field].as_str().is_some_and(|text| !text.is_empty()), "{json}");
    }
    assert_eq!(report["not_looked_at"].as_array().map(Vec::len), Some(0), "{json}");
    let (_, also_json, _) = giro_doctor(&["--json"], Some(url)).await;
    assert!(serde_json::from_str::<Value>(&also_json).is_ok(), "{also_json}");

    let (code, text, _) = giro_doctor(&["--servers", "1000"], Some(url)).await;
    assert!(code == Some(3) && text.contains("1000 server(s)"), "{text}");
}

#[tokio::test]
async fn a_clock_that_differs_from_the_databases_is_found() {
    if !needs::met(&[Need::Faketime]) {
        return;
    }
    let database = TestDatabase::new().await;
    let clock = FakeClock::new();
    let url = Some(database.server_url.as_str());
    for (shift, expected) in
        [(0, None), (-30, Some(("notice", "ahead of"))), (3600, Some(("warning", "behind")))]
    {
        clock.shift(shift);
        let program = env!("CARGO_BIN_EXE_giro-under-test");
        let (_, json, said) =
            run_in(program, "doctor", &["--json"], url, &clock.environment()).await;
        let report: Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{json}{said}"));
        let findings = report["findings"].as_array().expect("findings");
        let found = findings.iter().find(|it| it["id"] == "clock_differs");
        let text = |field: &str| found.and_then(|it| it[field].as_str()).unwrap_or_default();
        match expected {
            None => assert_eq!(found, None, "{json}"),
            Some((severity, direction)) => {
                assert_eq!(text("severity"), severity, "{json}");
                assert!(text("evidence").contains(direction), "{json}");
            }
        }
    }
}

#[tokio::test]
async fn the_command_says_when_it_could_not_look() {
    let nobody = "postgresql://giro@127.0.0.1:1/giro";
    for (arguments, url, why) in [
        (&[][..], None, "DATABASE_URL"),
        (&[], Some(nobody), "connecting"),
        (&["--database-url", "mysql://x"], None, "URL"),
        (&["--set", "batch.max_items=0"], None, "batch.max_items"),
        (&["--format", "xml"], None, "xml"),
        (&["--servers", "0"], None, "--servers"),
    ] {
        let (code, text, said) = giro_doctor(arguments, url).await;
        assert_eq!((code, text.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

/// Runs the command until it waits for a lock, one second at most, and then does something to its backend.
async fn lost<T>(database: &TestDatabase, wound: impl AsyncFn(i32) -> T) -> (i32, Value, String) {
    let locks = connect(&superuser_url(database)).await;
    // As a session of Giro's own: it is no finding that others wait for it.
    let lock = "SET application_name = 'giro lane 1'; BEGIN; LOCK TABLE giro.account_state";
    locks.batch_execute(lock).await.unwrap();
    let look = giro_doctor(&["--json"], Some(database.server_url.as_str()));
    let superuser = database.superuser().await;
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'giro doctor' AND wait_event_type = 'Lock'";
    let hurt = async {
        let backend = Cell::new(None);
        eventually("it waits", async || {
            let row = superuser.query_opt(waiting, &[]).await.expect("the sessions");
            backend.set(row.map(|row| row.get(0)));
            backend.get().is_some()
        })
        .await;
        wound(backend.get().expect("a backend")).await
    };
    let (mut look, mut hurt) = (std::pin::pin!(look), std::pin::pin!(hurt));
    let wound = tokio::select! {
        ended = &mut look => panic!("it ended before: {ended:?}"),
        wound = &mut hurt => wound,
    };
    let (code, json, said) = look.await;
    drop(wound);
    let report: Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{json}{said}"));
    assert!(report["lost"].is_string() && said.contains("ended early"), "{json}{said}");
    (code.expect("a code"), report, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_saw_when_it_lost_the_database_is_not_all() {
    let database = TestDatabase::new().await;
    let (code, report, said) = lost(&database, async |backend| Halted::new(backend)).await;
    assert!(code == 2 && said.contains("does not answer"), "{code} {said}");
    assert_ne!(report["worst"], "critical", "{report}");
    assert!(report["not_looked_at"].as_array().is_some_and(|it| it.len() > 8), "{report}");

    let superuser = database.superuser().await;
    let end = async |backend: i32| {
        superuser.query_one("SELECT pg_terminate_backend($1)", &[&backend]).await.unwrap();
    };
    let (code, _, said) = lost(&database, end).await;
    assert_eq!(code, 2, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_critical_before_it_lost_the_database_stays_so() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let revoke = "REVOKE SELECT ON giro.transfers FROM giro_server";
    superuser.batch_execute(revoke).await.unwrap();
    let (code, report, _) = lost(&database, async |backend| Halted::new(backend)).await;
    assert_eq!((code, report["worst"].as_str()), (3, Some("critical")), "{report}");
}

#[test]
fn the_page_has_every_finding() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let of_findings = rows.iter().filter(|row| row.matches(" | ").count() >= 4);
    let listed: Vec<String> =
        of_findings.map(|row| row.split(" | ").take(3).collect::<Vec<_>>().join(" | ")).collect();
    let expected: Vec<String> = Check::ALL
        .iter()
        .map(|check| {
            let severities: Vec<_> = check.severities().iter().map(|it| it.name()).collect();
            format!("| `{}` | {} | {}", check.name(), severities.join(", "), check.meaning())
        })
        .collect();
    for row in &expected {
        assert!(listed.contains(row), "docs/doctor.md must contain\n{row}");
    }
    assert_eq!(listed.len(), expected.len(), "docs/doctor.md has a finding too many or twice");
}
