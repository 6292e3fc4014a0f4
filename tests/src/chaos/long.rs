//! The run of a release: as many parts as it takes, each on a fresh cluster, in a directory of its own. A
//! part that is over is never run again, so that the whole can be stopped at any time and gone on with.

use super::summary::{self, Summary};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TOTAL: &str = "total.json";
const REPORT: &str = "report.md";
const STATE: &str = "long.json";
/// What is large, and of no use once a part has passed.
const LARGE: [&str; 3] = ["history.jsonl", "scrapes.jsonl", "looks.jsonl"];
/// So many parts in a row that did not pass end it.
const FAILED_MAX: usize = 3;

/// A run in parts: `giro-chaos long --help`.
#[derive(Debug, Clone, clap::Args)]
pub struct LongArguments {
    /// Where every part is kept; a run that was stopped goes on from there
    #[arg(long, value_name = "DIRECTORY", default_value = "target/chaos/long")]
    state: PathBuf,
    /// How long faults happen in one part
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60m")]
    part_of: Duration,
    /// Crashes and cuts, of all parts
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    cycles: u64,
    /// Transfers acknowledged, of all parts
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    acknowledged: u64,
    /// Parts at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    parts: u64,
    /// Seed of the first part, of a run that begins; each part has the next [default: a random one]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Leave the histories of parts that passed
    #[arg(long)]
    keep: bool,
    /// Options of giro-chaos run, for every part; every second part has a standby
    #[arg(last = true)]
    run: Vec<String>,
}

/// What has to stay the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct State {
    seed: u64,
}

/// All parts together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// Parts that passed; only they count below.
    pub passed: u64,
    /// Parts that did not.
    pub failed: u64,
    /// Hours.
    pub hours: f64,
    /// Crashes and cuts.
    pub cycles: u64,
    /// Faults of any kind.
    pub faults: u64,
    /// Backends that went on when they had been given up.
    pub zombies: u64,
    /// Transfers told to be applied, for the first time.
    pub acknowledged: u64,
    /// Requests for ids that had been sent before.
    pub repeats: u64,
    /// Answers that told what had been decided before.
    pub replayed: u64,
    /// Ids in doubt that had been applied.
    pub doubt_applied: u64,
    /// Ids in doubt that had never run.
    pub doubt_absent: u64,
    /// Snapshots in which debits were credits.
    pub looks: u64,
    /// Things that predicates were asked of.
    pub looked_at: u64,
    /// Of all parts, also of those that did not pass.
    pub violations: u64,
}

/// Runs parts until it is enough; whether all of them passed.
pub fn long(arguments: &LongArguments) -> Result<bool, String> {
    in_parts(arguments, |number, seed, directory| part(arguments, number, seed, directory))
}

fn in_parts(
    arguments: &LongArguments,
    mut run: impl FnMut(u64, u64, &Path) -> Result<(), String>,
) -> Result<bool, String> {
    let seed = state(arguments)?.seed;
    let mut failed = 0;
    for number in 1..=arguments.parts {
        let directory = directory(arguments, number);
        let summary = match read(&directory) {
            Some(summary) => summary,
            None => {
                let before = total(arguments);
                if before.cycles >= arguments.cycles
                    && before.acknowledged >= arguments.acknowledged
                {
                    break;
                }
                // It was stopped in the middle.
                let _ = fs::remove_dir_all(&directory);
                let ran = run(number, seed + number - 1, &directory);
                let summary =
                    read(&directory).unwrap_or_else(|| left_nothing(seed + number - 1, ran.err()));
                keep(arguments, &directory, &summary)?;
                summary
            }
        };
        failed = if summary.passes { 0 } else { failed + 1 };
        println!("{}", write_up(arguments)?);
        if failed == FAILED_MAX {
            return Err(format!("{failed} parts in a row did not pass"));
        }
    }
    let all = total(arguments);
    let is_enough = all.cycles >= arguments.cycles && all.acknowledged >= arguments.acknowledged;
    println!("{}", write_up(arguments)?);
    Ok(is_enough && all.failed == 0)
}

/// A process of its own: whatever becomes of it, the next one begins anew.
fn part(arguments: &LongArguments, number: u64, seed: u64, directory: &Path) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.args(["run", "--size", "part"]);
    command.arg("--for").arg(humantime::format_duration(arguments.part_of).to_string());
    command.arg("--seed").arg(seed.to_string()).arg("--out").arg(directory);
    command.args(number.is_multiple_of(2).then_some("--standby"));
    let status = command.args(&arguments.run).status().map_err(|error| error.to_string())?;
    // 1 is a run that did not pass; its summary says why.
    match status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(format!("the part ended with {status}")),
    }
}

fn left_nothing(seed: u64, error: Option<String>) -> Summary {
    let failure = error.unwrap_or_else(|| "the part left no summary".into());
    Summary { seed, failure: Some(failure), ..Summary::default() }
}

fn directory(arguments: &LongArguments, number: u64) -> PathBuf {
    arguments.state.join(format!("part-{number:03}"))
}

fn read(directory: &Path) -> Option<Summary> {
    let text = fs::read_to_string(directory.join(summary::FILE)).ok()?;
    serde_json::from_str(&text).ok()
}

fn state(arguments: &LongArguments) -> Result<State, String> {
    let path = arguments.state.join(STATE);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if let Ok(text) = fs::read_to_string(&path) {
        return serde_json::from_str(&text).map_err(|error| failed(&error));
    }
    let state = State { seed: arguments.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000)) };
    fs::create_dir_all(&arguments.state).map_err(|error| failed(&error))?;
    let text = serde_json::to_string(&state).map_err(|error| failed(&error))?;
    fs::write(&path, text).map_err(|error| failed(&error))?;
    Ok(state)
}

/// What a part leaves for good.
fn keep(arguments: &LongArguments, directory: &Path, summary: &Summary) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    if summary.passes && !arguments.keep {
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if LARGE.contains(&&*name) || name.ends_with(".log") {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
    }
    // A part is over when its summary is there.
    let text = serde_json::to_string_pretty(summary).map_err(|error| error.to_string())?;
    fs::write(directory.join(summary::FILE), text + "\n").map_err(failed)
}

fn parts(arguments: &LongArguments) -> impl Iterator<Item = (u64, Summary)> {
    (1..=arguments.parts).map_while(|number| Some((number, read(&directory(arguments, number))?)))
}

fn total(arguments: &LongArguments) -> Total {
    let mut total = Total::default();
    for (_, part) in parts(arguments) {
        total.add(&part);
    }
    total
}

impl Total {
    fn add(&mut self, part: &Summary) {
        self.violations += part.violations;
        if !part.passes {
            self.failed += 1;
            return;
        }
        self.passed += 1;
        self.hours += part.seconds / 3600.0;
        self.cycles += part.cycles;
        self.faults += part.faults;
        self.zombies += part.zombies;
        self.acknowledged += part.acknowledged;
        self.repeats += part.repeats;
        self.replayed += part.replayed;
        self.doubt_applied += part.resolved.applied;
        self.doubt_absent += part.resolved.absent;
        self.looks += part.looked.looks;
        self.looked_at += part.looked_at;
    }
}

/// The table of all parts, which is also returned.
fn write_up(arguments: &LongArguments) -> Result<String, String> {
    let total = total(arguments);
    let mut text = String::from(
        "# A storm in parts\n\n| part | seed | | cycles | acknowledged | in doubt: applied | absent | violations |\n\
         | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (number, part) in parts(arguments) {
        let Summary { seed, cycles, acknowledged, violations, resolved, .. } = &part;
        let word = super::report::word(&part);
        let _ = writeln!(
            text,
            "| {number} | {seed} | {word} | {cycles} | {acknowledged} | {} | {} | {violations} |",
            resolved.applied, resolved.absent
        );
    }
    let Total { passed, failed, hours, cycles, faults, zombies, acknowledged, .. } = &total;
    let Total { repeats, replayed, doubt_applied, doubt_absent, .. } = &total;
    let Total { looks, looked_at, violations, .. } = &total;
    let _ = writeln!(
        text,
        "\n{passed} parts passed ({hours:.1} hours), {failed} did not. Of those that passed: {cycles} crashes and \
         cuts among {faults} faults, {zombies} backends that went on when they had been given up; {acknowledged} \
         transfers acknowledged, {repeats} requests for an id sent before, {replayed} answers told again; of the \
         ids in doubt {doubt_applied} had been applied and {doubt_absent} had never run; {looks} snapshots \
         meanwhile; {looked_at} things held against a predicate. Violations, of all parts: {violations}."
    );
    let write = |name: &str, text: &str| {
        let path = arguments.state.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    write(REPORT, &text)?;
    let json = serde_json::to_string_pretty(&total).map_err(|error| error.to_string())?;
    write(TOTAL, &(json + "\n"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(state: &Path) -> LongArguments {
        LongArguments {
            state: state.to_owned(),
            part_of: Duration::from_secs(1),
            cycles: 100,
            acknowledged: 1000,
            parts: 10,
            seed: Some(7),
            keep: false,
            run: Vec::new(),
        }
    }

    fn leave(directory: &Path, summary: &Summary) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("history.jsonl"), "much").unwrap();
        fs::write(directory.join("report.md"), "little").unwrap();
        let text = serde_json::to_string(summary).unwrap();
        fs::write(directory.join(summary::FILE), text).unwrap();
    }

    fn passed(seed: u64) -> Summary {
        Summary { passes: true, seed, cycles: 40, acknowledged: 600, ..Summary::default() }
    }

    #[test]
    fn parts_are_run_until_it_is_enough_and_only_once() {
        let state = tempfile::tempdir().unwrap();
        let arguments = arguments(state.path());
        let mut seeds = Vec::new();
        let mut part = |_: u64, seed: u64, directory: &Path| {
            assert!(!directory.exists(), "what was left half done is gone");
            seeds.push(seed);
            leave(directory, &passed(seed));
            Ok(())
        };
        // Somebody has stopped it in its second part.
        leave(&directory(&arguments, 1), &passed(7));
        fs::create_dir_all(directory(&arguments, 2)).unwrap();
        assert_eq!(in_parts(&arguments, &mut part), Ok(true));
        assert_eq!(in_parts(&arguments, &mut part), Ok(true));
        assert_eq!(seeds, [8, 9], "40 cycles each, of 100");
        let total = total(&arguments);
        assert_eq!((total.passed, total.cycles, total.acknowledged), (3, 120, 1800));
        let second = directory(&arguments, 2);
        assert!(!second.join("history.jsonl").exists() && second.join("report.md").exists());
    }

    #[test]
    fn a_part_that_does_not_pass_is_kept_and_counts_for_nothing() {
        let state = tempfile::tempdir().unwrap();
        let arguments = arguments(state.path());
        let ended = in_parts(&arguments, |number, seed, directory| match number {
            1 => Err("killed".into()),
            2 => {
                leave(directory, &Summary { passes: false, violations: 2, ..passed(seed) });
                Ok(())
            }
            _ => {
                leave(directory, &passed(seed));
                Ok(())
            }
        });
        assert_eq!(ended, Ok(false));
        let total = total(&arguments);
        assert_eq!((total.passed, total.failed, total.cycles, total.violations), (3, 2, 120, 2));
        assert_eq!(read(&directory(&arguments, 1)).unwrap().failure.as_deref(), Some("killed"));
        assert!(directory(&arguments, 2).join("history.jsonl").exists());
    }

    #[test]
    fn parts_that_fail_in_a_row_end_it() {
        let state = tempfile::tempdir().unwrap();
        let mut parts = 0;
        let ended = in_parts(&arguments(state.path()), |_, _, _| {
            parts += 1;
            Err("no disk".into())
        });
        assert_eq!((ended.is_err(), parts), (true, FAILED_MAX));
    }
}
