//! What the documents show is what happens. With `GIRO_RECORD` in the environment, the tests of
//! docs/sql.md and of the recipes write what happened instead.

use giro_ledger::Reason;
use giro_ledger::verify::Check;
use giro_tests::TestServer;
use serde_json::Value;
use std::path::Path;
use tokio::process::Command;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const OPERATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
const API: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
const SEMANTICS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/semantics.md");
const TIGERBEETLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tigerbeetle.md");

/// Whether answers are to be recorded rather than compared.
pub(super) fn recording() -> bool {
    std::env::var_os("GIRO_RECORD").is_some()
}

/// The times and the numbers of batches differ from run to run.
pub(super) fn masked(text: &str) -> Value {
    let mut json: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    fn mask(json: &mut Value) {
        match json {
            Value::Array(items) => items.iter_mut().for_each(mask),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.as_str() {
                        "created_at" | "seq" => *value = "(varies)".into(),
                        _ => mask(value),
                    }
                }
            }
            _ => {}
        }
    }
    mask(&mut json);
    json
}

#[tokio::test]
async fn the_readme_shows_real_answers() {
    let server = TestServer::start().await;
    let readme = std::fs::read_to_string(README).unwrap();
    let examples: Vec<(&str, &str)> = readme
        .split("```console\n$ ")
        .skip(1)
        .map(|after| after.split("\n```").next().unwrap().split_once('\n').unwrap())
        .collect();
    assert!(examples.len() >= 6, "examples: {}", examples.len());
    let mut real = String::new();
    for (command, _) in &examples {
        let here = command.replace("127.0.0.1:8080", &server.address().to_string());
        let output = Command::new("sh").args(["-c", &here]).output().await.unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        real.push_str(&format!("{}\n", String::from_utf8_lossy(&output.stdout)));
    }
    assert_eq!(real.lines().count(), examples.len());
    for ((command, shown), real) in examples.iter().zip(real.lines()) {
        assert_eq!(masked(shown), masked(real), "{command} answers\n{real}");
    }
}

#[tokio::test]
async fn the_readme_s_many_callers_are_all_answered() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let readme = std::fs::read_to_string(README).unwrap();
    let block = readme.split("```sh\n").find(|block| block.contains("--parallel")).unwrap();
    let command = block.split("2>/dev/null").next().unwrap();
    let here = command.replace("127.0.0.1:8080", &server.address().to_string());
    let output = Command::new("sh").args(["-c", &here]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let sum = server.metric("giro_batch_items_sum{batcher=\"transfers\"}").await;
    assert_eq!(sum, 2000.0);
    assert_eq!(server.client.get("/accounts/1").await.json["credits_posted"], "2000");
}

#[test]
fn the_reference_lists_every_reason() {
    let rows: String = Reason::ALL
        .iter()
        .map(|reason| {
            let mark = |has, mark| if has { mark } else { "" };
            let recorded = mark(reason.is_recorded(), "**F**");
            let retry = mark(reason.is_worth_retrying(), "**R**");
            format!("| `{}` | {} | {recorded} | {retry} |\n", reason.name(), reason.meaning())
        })
        .collect();
    let table = format!("| reason | means | | |\n| --- | --- | --- | --- |\n{rows}");
    let reference = std::fs::read_to_string(API).unwrap();
    assert!(reference.contains(&table), "docs/api.md must contain\n{table}");
}

#[test]
fn the_semantics_have_every_reason_in_its_place() {
    let semantics = std::fs::read_to_string(SEMANTICS).unwrap();
    let order = semantics.split("## Order of reasons").nth(1).unwrap();
    let order = order.split("\nAccounts:").next().unwrap();
    let words: Vec<&str> = order.split('`').collect();
    let listed: Vec<(&str, bool)> = words
        .iter()
        .zip(&words[1..])
        .filter(|(word, _)| Reason::from_name(word).is_some())
        .map(|(word, after)| (*word, after.starts_with(" **S**")))
        .collect();
    let reasons = Reason::ALL.iter().map(|reason| (reason.name(), reason.is_recorded()));
    assert_eq!(listed, reasons.collect::<Vec<_>>());
}

#[test]
fn every_reason_has_a_place_among_tigerbeetles() {
    let page = std::fs::read_to_string(TIGERBEETLE).unwrap();
    for reason in Reason::ALL {
        assert!(page.contains(&format!("`{}`", reason.name())), "{}", reason.name());
    }
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut documents = Vec::new();
    for directory in [".", "docs", "docs/recipes", "sql", "deploy"] {
        let files = std::fs::read_dir(root.join(directory)).unwrap();
        let files = files.map(|file| file.unwrap().path());
        documents.extend(files.filter(|file| file.extension().is_some_and(|kind| kind == "md")));
    }
    for document in &documents {
        let text = std::fs::read_to_string(document).unwrap();
        let links = text.split("](").skip(1).filter_map(|after| after.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                _ => document.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", document.display());
            let has =
                |text: String| text.lines().any(|line| anchor(line).as_deref() == Some(heading));
            let found = heading.is_empty() || has(std::fs::read_to_string(&target).unwrap());
            assert!(found, "{}: {link}", document.display());
        }
    }
}

/// How a heading is linked to.
pub(crate) fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}

#[test]
fn the_operators_page_lists_every_check_of_an_audit() {
    let rows: String = Check::ALL
        .iter()
        .map(|check| format!("| `{}` | {} |\n", check.name(), check.meaning()))
        .collect();
    let table = format!("| check | holds when |\n| --- | --- |\n{rows}");
    let page = std::fs::read_to_string(OPERATIONS).unwrap();
    assert!(page.contains(&table), "docs/operations.md must contain\n{table}");
}
