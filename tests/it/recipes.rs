//! The recipes run as they stand, on one database, and answer what was recorded; twice, because an id
//! has one answer.

use super::documents::{masked, recording};
use giro_tests::TestServer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes");

#[tokio::test]
async fn the_recipes_answer_as_recorded_and_again() {
    let server = TestServer::start().await;
    let recipes = recipes();
    assert!(recipes.len() >= 6, "recipes: {recipes:?}");
    let index = std::fs::read_to_string(Path::new(RECIPES).join("README.md")).unwrap();
    for recipe in &recipes {
        let name = recipe.file_name().unwrap().to_str().unwrap();
        assert!(index.contains(&format!("({name})")), "README.md does not name {name}");
        let first = run(recipe, &server).await;
        let record = recipe.with_extension("out");
        if recording() {
            std::fs::write(&record, &first).unwrap();
        }
        let recorded = std::fs::read_to_string(&record).unwrap();
        assert_eq!(answers(&recorded), answers(&first), "{name} answers\n{first}");
        let again = run(recipe, &server).await;
        let (first, again) = (without_replayed(&first), without_replayed(&again));
        assert_eq!(first, again, "{name}, for the second time");
    }
    server.database.assert_consistent().await;
}

/// Every script but what they share.
fn recipes() -> Vec<PathBuf> {
    let files = std::fs::read_dir(RECIPES).unwrap().map(|file| file.unwrap().path());
    let is_recipe = |file: &PathBuf| {
        file.extension().is_some_and(|kind| kind == "sh") && !file.ends_with("lib.sh")
    };
    let mut recipes: Vec<PathBuf> = files.filter(is_recipe).collect();
    recipes.sort();
    recipes
}

async fn run(recipe: &Path, server: &TestServer) -> String {
    let mut command = Command::new("sh");
    command.arg(recipe).env("GIRO", format!("http://{}", server.address()));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}: {output:?}", recipe.display());
    String::from_utf8(output.stdout).unwrap()
}

/// Line by line: JSON without what differs from run to run, and text.
fn answers(output: &str) -> Vec<Value> {
    let is_json = |line: &str| line.starts_with(['{', '[']);
    output.lines().map(|line| if is_json(line) { masked(line) } else { line.into() }).collect()
}

/// Without what a replay says or, of a hold, does not say.
fn without_replayed(output: &str) -> Vec<Value> {
    fn strip(answer: &mut Value) {
        match answer {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(fields) => {
                fields.remove("replayed");
                fields.remove("state");
            }
            _ => {}
        }
    }
    let mut answers = answers(output);
    answers.iter_mut().for_each(strip);
    answers
}
