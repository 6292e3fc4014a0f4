//! The command as a shell sees it, and its page.

use super::superuser_url;
use giro_ledger::doctor::Check;
use giro_tests::TestDatabase;
use giro_tests::database::connect;
use serde_json::Value;
use tokio::process::Command;

async fn giro_doctor(arguments: &[&str], url: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_giro-under-test"));
    command.arg("doctor").args(arguments).env_remove("DATABASE_URL");
    command.envs(url.map(|url| ("DATABASE_URL", url)));
    let output = command.output().await.expect("the program runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
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
