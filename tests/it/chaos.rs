//! A storm of some seconds, from its command line to a verdict that can be reached again.

use clap::Parser;
use giro_checker::Verdict;
use giro_checker::history::{Answer, Asked, Attempt, FAULTS, FaultSpan, HISTORY, SCRAPES, Scrape};
use giro_tests::chaos::{self, CheckArguments, RunArguments, Summary};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[derive(Parser)]
struct Run {
    #[command(flatten)]
    arguments: RunArguments,
}

#[derive(Parser)]
struct Check {
    #[command(flatten)]
    arguments: CheckArguments,
}

/// A run of these options, on the server that is built with the tests.
async fn run(directory: &Path, options: &[&str]) -> Summary {
    let directory = directory.to_str().unwrap();
    let own = ["run", "--giro", env!("CARGO_BIN_EXE_giro-under-test"), "--size", "short"];
    let line = [&own[..], &["--out", directory], options].concat();
    let plan = Run::parse_from(line).arguments.plan().unwrap();
    chaos::run(plan).await.unwrap()
}

fn lines<T: DeserializeOwned>(directory: &Path, file: &str) -> Vec<T> {
    let text = fs::read_to_string(directory.join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json<T: DeserializeOwned>(directory: &Path, file: &str) -> T {
    serde_json::from_str(&fs::read_to_string(directory.join(file)).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_leaves_all_that_is_needed_to_judge_it_and_to_judge_it_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("run");
    let faults = ["--faults", "kill-postgres,cut-after-sync", "--cycles", "2"];
    let summary = run(&directory, &[&faults[..], &["--seed", "7", "--keep"]].concat()).await;
    assert!(summary.passes, "{summary:?}");
    assert!(summary.cycles >= 2 && summary.acknowledged > 100 && summary.looked.looks > 0);

    let attempts: Vec<Attempt> = lines(&directory, HISTORY);
    assert!(attempts.len() as u64 > summary.requests, "the requests, and those before and after");
    assert!(attempts.iter().all(|attempt| attempt.inv < attempt.ret));
    let servers: BTreeSet<_> = attempts.iter().map(|attempt| attempt.server).collect();
    assert_eq!(servers, [0, 1].into());
    let has = |is: fn(&Attempt) -> bool| attempts.iter().any(is);
    assert!(has(|attempt| matches!(attempt.answer, Answer::Account(_))));
    assert!(has(|attempt| matches!(attempt.asked, Asked::Transfer(_))), "final reads");
    assert!(has(|attempt| matches!(attempt.answer, Answer::None(_))));

    let faults: Vec<FaultSpan> = lines(&directory, FAULTS);
    assert!(faults.iter().all(|fault| fault.began < fault.healed && !fault.evidence.is_empty()));
    assert!(faults.iter().any(|fault| fault.crash_or_cut && fault.in_flight >= 2));
    let scrapes: Vec<Scrape> = lines(&directory, SCRAPES);
    let at_rest = scrapes.iter().filter(|scrape| scrape.at_rest).count();
    assert_eq!(at_rest, 2, "each server, at last");

    let verdict: Verdict = json(&directory, "verdict.json");
    assert!(verdict.passes() && verdict.predicates.len() >= 16, "{verdict}");
    let report = fs::read_to_string(directory.join("report.md")).unwrap();
    assert!(report.starts_with("# Storm 7: passes") && report.contains("| kill-postgres |"));
    let picture = fs::read_to_string(directory.join("timeline.svg")).unwrap();
    assert!(picture.trim_end().ends_with("</svg>") && picture.contains("cut-after-sync"));

    // The same again, from what was kept.
    fs::remove_file(directory.join("verdict.json")).unwrap();
    let again = Check::parse_from(["check", directory.to_str().unwrap()]);
    assert_eq!(chaos::check(again.arguments).await, Ok(true));
    assert_eq!(json::<Verdict>(&directory, "verdict.json"), verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_with_a_standby_that_is_never_promoted_is_judged() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("run");
    let options = ["--standby", "--faults", "halt-standby", "--for", "2s"];
    let summary = run(&directory, &options).await;
    assert!(summary.passes && summary.faults > 0, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_saw_too_little_does_not_pass() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("run");
    let gates = ["--faults", "none", "--for", "1s", "--size", "ci", "--rate", "50"];
    let own = ["run", "--giro", env!("CARGO_BIN_EXE_giro-under-test")];
    let out = ["--out", directory.to_str().unwrap()];
    let plan = Run::parse_from([&own[..], &gates, &out].concat()).arguments.plan().unwrap();
    let summary = chaos::run(plan).await.unwrap();
    assert_eq!((summary.failure.as_deref(), summary.violations), (None, 0));
    assert!(!summary.passes && !summary.gates_missed.is_empty(), "{summary:?}");
    let kept = Check::parse_from(["check", directory.to_str().unwrap()]);
    let error = chaos::check(kept.arguments).await.unwrap_err();
    assert!(error.contains("--keep"), "{error}");
}
