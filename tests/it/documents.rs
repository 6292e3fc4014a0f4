//! What the documents show is what happens.

use giro_ledger::Reason;
use giro_tests::TestServer;
use serde_json::Value;
use tokio::process::Command;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const API: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");

/// The times and the numbers of batches differ from run to run.
fn masked(text: &str) -> Value {
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
