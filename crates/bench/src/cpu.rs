//! CPU time of processes on this machine, from `/proc`.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// How often the processes of PostgreSQL are looked at while they come and go.
const ATTEMPTS: u32 = 5;

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured<T = f64> {
    /// The figure.
    Value(T),
    /// Why it was not measured.
    NotMeasured(String),
}

impl<T> From<Result<T, String>> for Measured<T> {
    fn from(result: Result<T, String>) -> Self {
        result.map_or_else(Self::NotMeasured, Self::Value)
    }
}

impl From<Result<i64, String>> for Measured {
    fn from(result: Result<i64, String>) -> Self {
        result.map(|count| count as f64).into()
    }
}

/// The number of processors, and the name of their model where it is known.
pub(crate) fn machine() -> (usize, String) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map_or("unknown", |(_, value)| value.trim());
    (cores, model.to_owned())
}

/// CPU seconds, user and system, that each of these processes has used. They must all be
/// PostgreSQL's: otherwise the ids are those of another machine or container.
pub(crate) fn postgres_seconds(pids: &[u32]) -> Result<BTreeMap<u32, f64>, String> {
    let seconds_of = |pid: &u32| {
        let (name, seconds) = read(*pid)?;
        if name.starts_with("postgres") {
            Ok((*pid, seconds))
        } else {
            Err(format!("process {pid} is {name:?}, not PostgreSQL"))
        }
    };
    pids.iter().map(seconds_of).collect()
}

/// CPU seconds, user and system, that a process has used.
pub(crate) fn seconds(pid: u32) -> Result<f64, String> {
    read(pid).map(|(_, seconds)| seconds)
}

/// CPU seconds that all processes of the PostgreSQL with this backend have used, also those that
/// have ended: the postmaster waits for its children and is told what they used.
pub(crate) fn postgres_all(backend: u32) -> Result<f64, String> {
    let postmaster = stat(backend)?.parent;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let before = stat(postmaster)?;
        if !before.name.starts_with("postgres") {
            return Err(format!("process {postmaster} is {:?}, not PostgreSQL", before.name));
        }
        let children =
            children(postmaster)?.iter().map(|child| child.own + child.waited_for).sum::<u64>();
        let after = stat(postmaster)?;
        // A child that ended meanwhile would be counted twice or not at all.
        if after.waited_for == before.waited_for || attempts == ATTEMPTS {
            return Ok(in_seconds(after.own + after.waited_for + children));
        }
    }
}

/// The processes that have this parent.
fn children(parent: u32) -> Result<Vec<Stat>, String> {
    let entries = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Who has just ended cannot be read, and is no child any more.
    Ok(pids.filter_map(|pid| stat(pid).ok()).filter(|child| child.parent == parent).collect())
}

fn read(pid: u32) -> Result<(String, f64), String> {
    stat(pid).map(|stat| (stat.name, in_seconds(stat.own)))
}

fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn stat(pid: u32) -> Result<Stat, String> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Stat::parse(&stat).ok_or_else(|| format!("{path}: not understood"))
}

/// What is said of a process. Times are clock ticks, user and system.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    parent: u32,
    own: u64,
    /// Of its children that have ended, and theirs.
    waited_for: u64,
}

impl Stat {
    /// The name may contain anything, also blanks and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let (head, fields) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        // The first field after the name is number 3 of proc(5).
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            name: name.to_owned(),
            parent: field(4)? as u32,
            own: field(14)? + field(15)?,
            waited_for: field(16)? + field(17)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 9 20 0 1 0 5";
        let name = "a) b (c)".to_owned();
        let expected = Stat { name, parent: 1, own: 300, waited_for: 16 };
        assert_eq!(Stat::parse(stat), Some(expected));
        assert_eq!(Stat::parse("42 (postgres) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process_is_not_postgresql() {
        let pid = std::process::id();
        assert!(seconds(pid).expect("this process exists") >= 0.0);
        assert!(postgres_seconds(&[pid]).expect_err("refused").contains("not PostgreSQL"));
        assert!(postgres_all(pid).expect_err("refused").contains("not PostgreSQL"));
    }

    #[test]
    fn a_child_that_ended_is_counted_by_its_parent() {
        let pid = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("runs");
        let is_child = |found: Vec<Stat>| found.iter().any(|child| child.name == "sleep");
        assert!(is_child(children(pid).expect("readable")));
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(!is_child(children(pid).expect("readable")));
    }
}
