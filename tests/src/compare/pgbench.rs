//! Contenders that pgbench drives, with prepared statements. Latencies and counts are from its log, by the same
//! window as all counters, so that its connecting and its warm-up do not count.

use super::cell::Cell;
use super::fixture::{self, Script};
use super::plan::Plan;
use super::raw::Measured;
use super::site::{Place, scratch};
use super::watch::Window;
use giro_embedded::Binaries;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// To open all connections.
const CONNECT_MAX: Duration = Duration::from_secs(60);
/// To end the transactions under way.
const END_MAX: Duration = Duration::from_secs(30);

/// Where it is, beside the server; or what to install.
pub fn program(binaries: &Binaries) -> Result<PathBuf, String> {
    let program = binaries.dir().join("pgbench");
    let missing =
        "install the package of PostgreSQL that has it: the server's on Debian, else contrib";
    match program.exists() {
        true => Ok(program),
        false => Err(format!("{} is missing: {missing}", program.display())),
    }
}

fn command(binaries: &Binaries) -> Result<Command, String> {
    let mut command = Command::new(program(binaries)?);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG"))
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Makes its tables, or their keys: the steps of `--init-steps`.
pub(super) async fn initialize(binaries: &Binaries, url: &str, steps: &str) -> Result<(), String> {
    let mut command = command(binaries)?;
    let output =
        command.args(["--initialize", "--quiet", "--init-steps", steps, url]).output().await;
    let output = output.map_err(|error| format!("pgbench: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("pgbench --initialize: {said}"))
}

/// The text of its own TPC-B.
pub(super) async fn shipped(binaries: &Binaries) -> Result<String, String> {
    let output = command(binaries)?.args(["--show-script=tpcb-like"]).output().await;
    let output = output.map_err(|error| format!("pgbench: {error}"))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Measures a cell. `rate` is what is to come each second, when requests come by themselves.
pub(super) async fn run(
    plan: &Plan,
    binaries: &Binaries,
    place: &Place,
    cell: &Cell,
    rate: Option<f64>,
) -> Result<Measured, String> {
    let (_kept, directory) = scratch()?;
    let mut command = command(binaries)?;
    let script = directory.join("script.sql");
    match fixture::script(cell, plan.accounts, &shipped(binaries).await?)? {
        Script::Builtin(name) => command.args(["--builtin", name]),
        Script::Text(text) => {
            fs::write(&script, text).map_err(|error| format!("{}: {error}", script.display()))?;
            command.arg("--file").arg(&script)
        }
    };
    // A bound only: it is told when to end.
    let bound = (CONNECT_MAX + END_MAX).as_secs_f64() + plan.warmup + plan.seconds;
    let whole = |number: f64| format!("{number:.0}");
    command.args(["--no-vacuum", "--protocol", "prepared", "--log"]);
    command.args(["--client", &cell.clients.to_string(), "--time", &whole(bound)]);
    command.args(["--jobs", &threads(cell).to_string()]);
    command.args(rate.iter().flat_map(|rate| ["--rate".to_owned(), whole(*rate)]));
    command.arg("--log-prefix").arg(directory.join("log")).args(place.options());
    place.delay(false);
    let child = command.spawn().map_err(|error| format!("pgbench: {error}"))?;
    let measured = measure(plan, place, cell, child, &directory).await;
    place.delay(true);
    Ok(Measured { offered_per_second: rate, ..measured? })
}

/// One a core. With a delay more: pgbench prepares the statements of one client of a thread after the other, and
/// waits for each answer; on two threads that alone would take 512 clients 18 s at 10 ms.
fn threads(cell: &Cell) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let threads = if cell.condition.delay_ms == 0 { cores } else { cores.max(64) };
    threads.min(cell.clients)
}

async fn measure(
    plan: &Plan,
    place: &Place,
    cell: &Cell,
    mut child: Child,
    directory: &Path,
) -> Result<Measured, String> {
    let id = child.id().ok_or("pgbench has ended")?;
    let watch = place.watch("pgbench", Some(id));
    let limit = Instant::now() + CONNECT_MAX;
    while watch.count().await? < cell.clients as usize {
        let ended = child.try_wait().map_err(|error| error.to_string())?.is_some();
        if ended || Instant::now() > limit {
            return Err(format!("pgbench has not connected: {}", said(child).await));
        }
        sleep(Duration::from_millis(20)).await;
    }
    place.delay(true);
    let window = watch.window(plan.warmup, plan.seconds).await?;
    // As its own alarm, after which it ends in order and its log is whole.
    let process = Pid::from_raw(id as i32).expect("a process id");
    kill_process(process, Signal::ALARM).map_err(|error| format!("pgbench: {error}"))?;
    let output = timeout(END_MAX, child.wait_with_output()).await;
    let output = output.map_err(|_| "pgbench does not end")?.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("pgbench ended with {}: {}", output.status, last_lines(&said)));
    }
    let log = Log::read(directory, &window)?;
    fixture::check(&place.watcher, cell.contender, log.done).await?;
    let done = log.latencies.len() as u64;
    Ok(Measured { refused: log.failed, ..window.measured(done, log.latencies)? })
}

async fn said(mut child: Child) -> String {
    let _ = child.start_kill();
    let output = child.wait_with_output().await;
    output.map_or_else(
        |error| error.to_string(),
        |output| last_lines(&String::from_utf8_lossy(&output.stderr)),
    )
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

/// What its log says.
#[derive(Debug, Default, PartialEq)]
struct Log {
    /// Transactions in the whole run.
    done: u64,
    /// Of those that ended in the window, in microseconds.
    latencies: Vec<u32>,
    /// In the window.
    failed: u64,
}

impl Log {
    /// Of all its threads.
    fn read(directory: &Path, window: &Window) -> Result<Self, String> {
        let failed = |error| format!("the log of pgbench: {error}");
        let mut log = Self::default();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"log.")) {
                log.add(&fs::read_to_string(path).map_err(failed)?, window.from.at, window.to.at)?;
            }
        }
        Ok(log)
    }

    /// Lines of client, number, microseconds, script, and the end: seconds and microseconds since 1970.
    fn add(&mut self, text: &str, from: u64, to: u64) -> Result<(), String> {
        for line in text.lines() {
            let wrong = || format!("a line of pgbench's log: {line}");
            let fields: Vec<_> = line.split(' ').collect();
            let [_, _, time, _, seconds, micros, ..] = fields[..] else { return Err(wrong()) };
            let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
            let ended = number(seconds)? * 1_000_000 + number(micros)?;
            let inside = (from..to).contains(&ended);
            match time.parse::<u32>() {
                Ok(time) => {
                    self.done += 1;
                    self.latencies.extend(inside.then_some(time));
                }
                // "failed" or "skipped"
                Err(_) => self.failed += u64::from(inside),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_counts_what_ended_in_the_window() {
        let text = "0 1 1500 0 10 999999\n1 1 2500 0 11 0\n0 2 failed 0 11 5\n0 3 900 0 12 0 77\n";
        let mut log = Log::default();
        log.add(text, 11_000_000, 12_000_000).unwrap();
        assert_eq!(log, Log { done: 3, latencies: vec![2500], failed: 1 });
        assert!(log.add("what", 0, 1).is_err());
    }
}
