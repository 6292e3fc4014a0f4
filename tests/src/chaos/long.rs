//! The run of a release: as many parts as it takes, each on a fresh cluster, in a directory of its own. A
//! part that is over is never run again, so that the whole can be stopped at any time and gone on with.

use super::lock::Lock;
use super::plan::{RunArguments, some_time};
use super::summary::{self, Summary};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TOTAL: &str = "total.json";
const REPORT: &str = "report.md";
const STATE: &str = "long.json";
/// The summary of a part that is over, as this program judges it.
const PART: &str = "part.json";
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
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "60m")]
    part_of: Duration,
    /// Crashes and cuts, of all parts
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    cycles: u64,
    /// Transfers acknowledged, of all parts
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    acknowledged: u64,
    /// Parts at most
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
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

/// What has to stay the same, or the parts would not be parts of one thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    seed: u64,
    /// The server, and this program: what they say, and a hash of their files.
    programs: Vec<String>,
    part_of: String,
    run: Vec<String>,
}

/// The options of every part.
#[derive(Parser)]
struct Run {
    #[command(flatten)]
    arguments: RunArguments,
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
    /// Crashes and cuts that hit a batch.
    pub cycles: u64,
    /// Faults of any kind.
    pub faults: u64,
    /// The same, by name.
    pub kinds: BTreeMap<String, u64>,
    /// Backends that were halted in a batch until their sessions had been given up.
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
    let line = [&["run".to_owned()], &arguments.run[..]].concat();
    let run = Run::try_parse_from(line).map_err(|error| error.to_string())?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let programs = vec![identity(&run.arguments.giro()?)?, identity(&this)?];
    in_parts(arguments, programs, |number, seed, directory| {
        part(arguments, number, seed, directory)
    })
}

/// `run` says whether a part passed, by the exit code of its process.
fn in_parts(
    arguments: &LongArguments,
    programs: Vec<String>,
    mut run: impl FnMut(u64, u64, &Path) -> Result<bool, String>,
) -> Result<bool, String> {
    let _lock = Lock::take(&arguments.state)?;
    let seed = state(arguments, programs)?.seed;
    // Of those that run now: whoever has mended what was wrong goes on.
    let mut failed = 0;
    for number in 1..=arguments.parts {
        let directory = directory(arguments, number);
        match read(&directory.join(PART)) {
            Some(_) => {}
            None => {
                let before = total(arguments);
                if before.cycles >= arguments.cycles
                    && before.acknowledged >= arguments.acknowledged
                {
                    break;
                }
                // It was stopped in the middle; its process may have outlived the one that began it.
                drop(Lock::take(&directory)?);
                let _ = fs::remove_dir_all(&directory);
                let ran = run(number, seed + number - 1, &directory);
                let left = read(&directory.join(summary::FILE));
                let summary = judged(seed + number - 1, left, ran);
                keep(arguments, &directory, &summary)?;
                failed = if summary.passes { 0 } else { failed + 1 };
            }
        }
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
fn part(
    arguments: &LongArguments,
    number: u64,
    seed: u64,
    directory: &Path,
) -> Result<bool, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.args(["run", "--size", "part"]);
    command.arg("--for").arg(humantime::format_duration(arguments.part_of).to_string());
    command.arg("--seed").arg(seed.to_string()).arg("--out").arg(directory);
    command.args(number.is_multiple_of(2).then_some("--standby"));
    let status = command.args(&arguments.run).status().map_err(|error| error.to_string())?;
    // 1 is a run that did not pass; its summary says why.
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(format!("the part ended with {status}")),
    }
}

/// What a part has come to, by what it left and how its process ended: it passes only if both say so.
fn judged(seed: u64, left: Option<Summary>, ran: Result<bool, String>) -> Summary {
    let why = match (&left, ran) {
        (_, Err(why)) => why,
        (None, Ok(_)) => "the part left no summary".into(),
        (Some(summary), Ok(passes)) if summary.passes != passes => {
            format!("its summary and its exit code differ: {} and {passes}", summary.passes)
        }
        (Some(summary), Ok(_)) => return summary.clone(),
    };
    let mut summary = left.unwrap_or_default();
    (summary.seed, summary.passes) = (seed, false);
    summary.failure.get_or_insert(why);
    summary
}

/// What a program says of its version, and a hash of its file.
fn identity(program: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let mut hasher = DefaultHasher::new();
    fs::read(program).map_err(failed)?.hash(&mut hasher);
    let said = Command::new(program).arg("--version").output().map_err(failed)?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}: {said} {:016x}", hasher.finish()))
}

fn directory(arguments: &LongArguments, number: u64) -> PathBuf {
    arguments.state.join(format!("part-{number:03}"))
}

fn read(path: &Path) -> Option<Summary> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// What it was begun with, or is now.
fn state(arguments: &LongArguments, programs: Vec<String>) -> Result<State, String> {
    let path = arguments.state.join(STATE);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut state = State {
        seed: arguments.seed.unwrap_or_default(),
        programs,
        part_of: humantime::format_duration(arguments.part_of).to_string(),
        run: arguments.run.clone(),
    };
    if let Ok(text) = fs::read_to_string(&path) {
        let begun: State = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        state.seed = arguments.seed.unwrap_or(begun.seed);
        if state != begun {
            return Err(failed(&format!(
                "it was begun as something else, and its parts cannot be added up with others: name another \
                 --state, or remove it\n  begun with {begun:?}\n  now        {state:?}"
            )));
        }
        return Ok(state);
    }
    state.seed = arguments.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
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
    // A part is over when this is there.
    summary::write(&directory.join(PART), summary)
}

fn parts(arguments: &LongArguments) -> impl Iterator<Item = (u64, Summary)> {
    (1..=arguments.parts)
        .map_while(|number| Some((number, read(&directory(arguments, number).join(PART))?)))
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
        for (kind, times) in &part.kinds {
            *self.kinds.entry(kind.clone()).or_default() += times;
        }
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
    let Total { looks, looked_at, violations, kinds, .. } = &total;
    let kinds: Vec<_> = kinds.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
    let _ = writeln!(
        text,
        "\n{passed} parts passed ({hours:.1} hours), {failed} did not. Of those that passed: {cycles} crashes and \
         cuts among {faults} faults, {zombies} backends halted in a batch until they had been given up; {acknowledged} \
         transfers acknowledged, {repeats} requests for an id sent before, {replayed} answers told again; of the \
         ids in doubt {doubt_applied} had been applied and {doubt_absent} had never run; {looks} snapshots \
         meanwhile; {looked_at} things held against a predicate. Violations, of all parts: {violations}.\n\n\
         Faults by kind, of parts that passed: {}.",
        kinds.join(", ")
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
        summary::write(&directory.join(summary::FILE), summary).unwrap();
    }

    fn in_parts(
        arguments: &LongArguments,
        run: impl FnMut(u64, u64, &Path) -> Result<bool, String>,
    ) -> Result<bool, String> {
        super::in_parts(arguments, vec!["giro 1".into()], run)
    }

    fn passed(seed: u64) -> Summary {
        let kinds = [("promote-standby".to_owned(), 3)].into();
        Summary { passes: true, seed, cycles: 40, kinds, acknowledged: 600, ..Summary::default() }
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
            Ok(true)
        };
        // Somebody has stopped it in its second part, just before that was judged.
        fs::create_dir_all(directory(&arguments, 1)).unwrap();
        summary::write(&directory(&arguments, 1).join(PART), &passed(7)).unwrap();
        leave(&directory(&arguments, 2), &passed(8));
        assert_eq!(in_parts(&arguments, &mut part), Ok(true));
        assert_eq!(in_parts(&arguments, &mut part), Ok(true));
        assert_eq!(seeds, [8, 9], "40 cycles each, of 100");
        let total = total(&arguments);
        assert_eq!((total.passed, total.cycles, total.acknowledged), (3, 120, 1800));
        assert_eq!(total.kinds["promote-standby"], 9);
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
                Ok(false)
            }
            _ => {
                leave(directory, &passed(seed));
                Ok(true)
            }
        });
        assert_eq!(ended, Ok(false));
        let total = total(&arguments);
        assert_eq!((total.passed, total.failed, total.cycles, total.violations), (3, 2, 120, 2));
        assert_eq!(
            read(&directory(&arguments, 1).join(PART)).unwrap().failure.as_deref(),
            Some("killed")
        );
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

    #[test]
    fn a_part_passes_only_if_its_process_says_so_too() {
        let left = || Some(passed(3));
        assert!(judged(3, left(), Ok(true)).passes);
        for ran in [Ok(false), Err("SIGSEGV".into())] {
            let summary = judged(3, left(), ran);
            assert!(!summary.passes && summary.failure.is_some());
        }
        assert!(!judged(3, None, Ok(true)).passes);
    }

    #[test]
    fn what_was_begun_as_something_else_does_not_go_on() {
        let place = tempfile::tempdir().unwrap();
        let arguments = arguments(place.path());
        let programs = || vec!["giro 1".to_owned()];
        let begun = state(&arguments, programs()).unwrap();
        let anything = LongArguments { seed: None, ..arguments.clone() };
        assert_eq!(state(&anything, programs()), Ok(begun));
        assert!(state(&arguments, vec!["giro 2".into()]).unwrap_err().contains("giro 2"));
        let other = LongArguments { run: vec!["--rate".into(), "9".into()], ..arguments };
        assert!(state(&other, programs()).unwrap_err().contains("--rate"));
    }

    #[test]
    fn parts_that_failed_before_do_not_end_what_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let arguments = arguments(place.path());
        assert!(in_parts(&arguments, |_, _, _| Err("no disk".into())).is_err());
        let ended = in_parts(&arguments, |_, seed, directory| {
            leave(directory, &passed(seed));
            Ok(true)
        });
        assert_eq!((ended, total(&arguments).passed), (Ok(false), 3));
    }
}
