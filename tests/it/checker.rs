//! The checker of a run: a sound run passes, and whatever is planted in one is found by the predicate that
//! says it.

mod corruptions;
mod recorder;
mod small_run;

use giro_checker::history::{
    ACCOUNTS, Attempt, FAULTS, FaultSpan, HISTORY, Opened, SCRAPES, Scrape,
};
use giro_checker::{Gates, Verdict, check};
use giro_tests::TestDatabase;
use serde::Serialize;
use std::path::Path;

/// What a run leaves in its directory.
#[derive(Clone, Default)]
struct Files {
    accounts: Vec<Opened>,
    history: Vec<Attempt>,
    faults: Vec<FaultSpan>,
    scrapes: Vec<Scrape>,
}

impl Files {
    fn write(&self, directory: &Path) {
        write_lines(&directory.join(ACCOUNTS), &self.accounts);
        write_lines(&directory.join(HISTORY), &self.history);
        write_lines(&directory.join(FAULTS), &self.faults);
        write_lines(&directory.join(SCRAPES), &self.scrapes);
        let gates = Gates {
            unknown_applied: 3,
            unknown_absent: 3,
            crash_or_cut_cycles: 1,
            ..Gates::default()
        };
        let run = serde_json::json!({ "seed": 1, "gates": gates });
        std::fs::write(directory.join("run.json"), run.to_string()).unwrap();
    }

    async fn check(&self, database: &TestDatabase) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        self.write(directory.path());
        let verdict = check(directory.path(), &database.superuser_url).await;
        verdict.unwrap_or_else(|error| panic!("{error}"))
    }
}

fn write_lines(path: &Path, lines: &[impl Serialize]) {
    let lines = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n");
    std::fs::write(path, lines.collect::<String>()).unwrap();
}
