//! What operators are given agrees with itself: metrics, their table, alerts, dashboard, runbooks.

use crate::documents::anchor;
use giro_tests::{TestServer, eventually};
use serde_json::json;
use std::collections::BTreeSet;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap()
}

/// A scrape after something of everything has happened.
async fn scrape() -> String {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let transfer = json!({"id": 1, "debit_account": 1, "credit_account": 2, "amount": 1});
    assert_eq!(server.client.post("/transfer", &transfer).await.status, 200);
    assert_eq!(server.client.get("/transfers/1").await.status, 200);
    // A failure to connect has no series before the first one.
    let superuser = server.database.superuser().await;
    server.database.allow_connections(false).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE pid <> pg_backend_pid() AND datname = current_database()";
    superuser.batch_execute(cut).await.unwrap();
    eventually("a session cannot be opened", async || {
        let text = server.admin.get("/metrics").await.text;
        text.contains("giro_connect_failures_total{")
    })
    .await;
    server.admin.get("/metrics").await.text
}

/// The metrics of a scrape, by their `# TYPE`.
fn scraped(text: &str) -> BTreeSet<&str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|rest| rest.split(' ').next()).collect()
}

/// The metrics of the first column of the table in docs/operations.md.
fn documented(page: &str) -> BTreeSet<String> {
    let table = page.split("## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let names = cells.flat_map(|cell| cell.split('`').step_by(2));
    let names = names.map(|name| name.split('{').next().unwrap());
    names.map(|name| format!("giro_{name}")).collect()
}

/// Words of a file that begin like our metrics.
fn used(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("giro_") || word.starts_with("process_")).collect()
}

#[tokio::test]
async fn every_metric_is_documented_and_every_one_that_is_used_exists() {
    let text = scrape().await;
    let scraped = scraped(&text);
    // A metric with labels has no series before its first event; the sources name it.
    let unseen = ["giro_db_errors_total"];
    let all: BTreeSet<&str> = scraped.iter().copied().chain(unseen).collect();
    let ours = all.iter().filter(|name| name.starts_with("giro_"));
    let ours: BTreeSet<String> = ours.map(ToString::to_string).collect();
    assert!(ours.len() > 30, "{ours:?}");
    assert_eq!(documented(&read("docs/operations.md")), ours, "the table of docs/operations.md");

    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/alerts_test.yml",
        "deploy/grafana/dashboard.json",
    ] {
        let text = read(file);
        assert!(used(&text).len() > 20, "{file}");
        for name in used(&text) {
            let of_histogram =
                ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part));
            let exists = all.contains(name) || of_histogram.is_some_and(|base| all.contains(base));
            assert!(exists, "{file} uses {name}, which there is not");
        }
    }
}

#[test]
fn every_alert_is_complete_and_tried() {
    let (rules, tests) =
        (read("deploy/prometheus/alerts.yml"), read("deploy/prometheus/alerts_test.yml"));
    let page = read("docs/operations.md");
    let sections: BTreeSet<String> = page.lines().filter_map(anchor).collect();
    let tests: Vec<&str> = tests.split("\n  - name: ").skip(1).collect();
    let alerts: Vec<(&str, &str)> =
        rules.split("- alert: ").skip(1).map(|rule| rule.split_once('\n').unwrap()).collect();
    assert!(alerts.len() > 20, "{}", alerts.len());
    for (name, rule) in alerts {
        for part in ["expr: ", "for: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let severity = rule.split("severity: ").nth(1).and_then(|rest| rest.split('}').next());
        assert!(matches!(severity, Some("page" | "ticket")), "{name}: {severity:?}");
        let runbook = rule.split("runbook: docs/operations.md#").nth(1).unwrap_or_default();
        let runbook = runbook.lines().next().unwrap_or_default();
        assert!(sections.contains(runbook), "{name}: docs/operations.md has no #{runbook}");

        let fires = format!("alertname=\"{name}\",alertstate=\"firing\"");
        let expected: Vec<bool> = tests
            .iter()
            .flat_map(|test| test.split("- expr: ").skip(1))
            .filter(|case| case.contains(&fires))
            .map(|case| !case.contains("exp_samples: []"))
            .collect();
        assert!(expected.contains(&true), "{name} is never tried when it should fire");
        assert!(expected.contains(&false), "{name} is never tried when it should be silent");
    }
}

/// Names, units and help texts, as Prometheus wants them.
#[tokio::test]
async fn a_scrape_pleases_promtool() {
    let mut promtool = Command::new(format!("{ROOT}/scripts/promtool"));
    let mut promtool = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = scrape().await;
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
