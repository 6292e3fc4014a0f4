//! The storm and its checker find the mutants as well, where some seconds of a storm suffice: without a
//! situation made for them, by what is asked of every run.

use clap::Parser;
use giro_checker::Verdict;
use giro_tests::chaos::{self, RunArguments};
use giro_tests::mutants::Mutant;
use std::fs;

#[derive(Parser)]
struct Run {
    #[command(flatten)]
    arguments: RunArguments,
}

/// What some seconds of these faults find, on servers and a database that are broken or not: what broke the
/// storm off, or the predicates that do not hold.
async fn storm(faults: &[&str], mutant: Option<&'static Mutant>) -> Vec<String> {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("run");
    let out = ["--out", directory.to_str().expect("a path in UTF-8")];
    let own = ["run", "--giro", env!("CARGO_BIN_EXE_giro-under-test"), "--size", "short"];
    let line = [&own[..], &["--seed", "3", "--rate", "150"], &out, faults].concat();
    let plan = Run::parse_from(line).arguments.plan().expect("a plan");
    let plan = match mutant {
        Some(mutant) => plan.with(mutant),
        None => plan,
    };
    let summary = chaos::run(plan).await.expect("a run");
    if let Some(failure) = summary.failure {
        return vec![failure];
    }
    let verdict = fs::read_to_string(directory.join("verdict.json")).expect("a verdict");
    let verdict: Verdict = serde_json::from_str(&verdict).expect("a verdict");
    let violated = verdict.predicates.into_iter().filter(|predicate| predicate.violations > 0);
    violated.map(|predicate| predicate.name).collect()
}

const CALM: &[&str] = &["--faults", "none", "--for", "1s"];
const CUTS: &[&str] = &["--faults", "cut-after-sync", "--cycles", "2"];

async fn is_found(name: &str, faults: &[&str]) {
    let mutant = Mutant::named(name);
    let found = storm(faults, Some(mutant)).await;
    let expected = mutant.by_the_storm;
    // A predicate by its name, or what is in the sentence that ended the storm.
    let is_one = |found: &String| {
        expected.iter().any(|expected| match expected.starts_with('C') {
            true => found == expected,
            false => found.contains(expected),
        })
    };
    assert!(found.iter().any(is_one), "{name} is not found as {expected:?}: {found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mutant_a_storm_finds_nothing() {
    assert_eq!(storm(CUTS, None).await, [""; 0]);
}

macro_rules! storms {
    ($($test:ident $name:literal $faults:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            is_found($name, $faults).await;
        })*

        #[test]
        fn every_mutant_that_a_storm_is_said_to_find_has_one() {
            let said = Mutant::ALL.iter().filter(|mutant| !mutant.by_the_storm.is_empty());
            let said: Vec<_> = said.map(|mutant| mutant.name).collect();
            assert_eq!(said, [$($name),*]);
        }
    };
}

storms! {
    swap_results "swap-results" CALM;
    no_id_check_on_resend "no-id-check-on-resend" CUTS;
    rejection_not_recorded "rejection-not-recorded" CALM;
    limit_off_by_one "limit-off-by-one" CALM;
    new_id_on_retry "new-id-on-retry" CUTS;
}
