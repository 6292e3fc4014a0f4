//! CPU time of processes on this machine, from `/proc`.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// The figure.
    Value(f64),
    /// Why it was not measured.
    NotMeasured(String),
}

impl From<Result<f64, String>> for Measured {
    fn from(result: Result<f64, String>) -> Self {
        result.map_or_else(Self::NotMeasured, Self::Value)
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

fn read(pid: u32) -> Result<(String, f64), String> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let (name, ticks) = parse(&stat).ok_or_else(|| format!("{path}: not understood"))?;
    Ok((name.to_owned(), ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The name of the program and the clock ticks it has used. The name may contain anything, also
/// blanks and parentheses.
fn parse(stat: &str) -> Option<(&str, u64)> {
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    // The first field after the name is number 3 of proc(5); utime is 14, stime is 15.
    let mut ticks = fields.split_ascii_whitespace().skip(11);
    let utime: u64 = ticks.next()?.parse().ok()?;
    let stime: u64 = ticks.next()?.parse().ok()?;
    Some((name, utime + stime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 9 20 0 1 0 5";
        assert_eq!(parse(stat), Some(("a) b (c)", 300)));
        assert_eq!(parse("42 (postgres) S 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_is_not_postgresql() {
        let pid = std::process::id();
        assert!(seconds(pid).expect("this process exists") >= 0.0);
        assert!(postgres_seconds(&[pid]).expect_err("refused").contains("not PostgreSQL"));
    }
}
