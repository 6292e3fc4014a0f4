//! Where it runs, and the settings that a figure means nothing without.

use super::origin::{Origin, not_durable};
use super::pgbench;
use crate::process;
use bytesize::ByteSize;
use giro_embedded::Binaries;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;
use tokio_postgres::Client;

/// Settings of PostgreSQL that a report states.
const SETTINGS: [&str; 12] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_compression",
    "wal_level",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "max_connections",
    "autovacuum",
    "commit_delay",
];

/// What is told of a run. Refused where PostgreSQL is not durable.
pub(super) async fn begin(
    giro: &Path,
    binaries: &Binaries,
    data: &Path,
    admin: &Client,
) -> Result<Origin, String> {
    let mut settings = BTreeMap::new();
    for name in SETTINGS {
        settings.insert(name.to_owned(), setting(admin, name).await?);
    }
    if let Some(why) = not_durable(&settings) {
        return Err(why);
    }
    let versions = [
        ("postgresql", setting(admin, "server_version").await?),
        ("pgbench", version(&pgbench::program(binaries)?).await?),
        ("giro", version(giro).await?),
        ("commit", commit().await),
    ];
    let began = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let (machine, versions) = (owned(machine(data)?), owned(versions));
    Ok(Origin { began, machine, versions, settings, ..Origin::default() })
}

fn owned<const N: usize>(facts: [(&str, String); N]) -> BTreeMap<String, String> {
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn setting(admin: &Client, name: &str) -> Result<String, String> {
    let row = admin.query_one("SELECT current_setting($1)", &[&name]).await;
    row.map(|row| row.get(0)).map_err(|error| format!("{name}: {error}"))
}

async fn version(program: &Path) -> Result<String, String> {
    let path = program.display().to_string();
    let (code, said, _) = process::run(&path, "--version", &[], None).await;
    if code != Some(0) {
        return Err(format!("{path} --version ended with {code:?}"));
    }
    Ok(said.trim().to_owned())
}

/// Of the sources around here; with a plus where they, not what a run writes, have been changed.
async fn commit() -> String {
    let git = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("git").args(arguments).output().await.ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]).await else {
        return "unknown".into();
    };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)docs"])
            .await;
    let plus = if changed.is_some_and(|files| !files.is_empty()) { "+" } else { "" };
    commit + plus
}

fn machine(data: &Path) -> Result<[(&'static str, String); 5], String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = read("/proc/cpuinfo")?;
    let memory = read("/proc/meminfo")?;
    let memory = field(&memory, "MemTotal").unwrap_or_default();
    let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok([
        ("cpu_model", field(&cpu, "model name").unwrap_or_else(|| "unknown".into())),
        ("cores", cores.to_string()),
        ("memory", format!("{} GiB", (kib as f64 / 1024.0 / 1024.0).round())),
        ("kernel", read("/proc/sys/kernel/osrelease")?.trim().to_owned()),
        ("file_system", file_system(data)),
    ])
}

/// The kind of file system that the data is on: one in memory makes every flush free.
fn file_system(data: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let of = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        data.starts_with(&place).then_some((place.len(), kind))
    };
    let deepest = mounts.lines().filter_map(of).max_by_key(|(depth, _)| *depth);
    deepest.map_or("unknown".into(), |(_, kind)| kind)
}

/// Refuses to go on where so little of the disk is free: a full one ends PostgreSQL, and the work of others.
pub(super) fn has_room(directory: &Path, least: ByteSize) -> Result<(), String> {
    let free = ByteSize(free(directory)?);
    let room = free >= least;
    room.then_some(()).ok_or_else(|| format!("only {free} of the disk are free, less than {least}"))
}

/// Bytes that the disk of a directory has for its user.
pub(super) fn free(directory: &Path) -> Result<u64, String> {
    let found = rustix::fs::statvfs(directory);
    let found = found.map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(found.f_bavail * found.f_frsize)
}

/// Work of others, as the machine counts it.
pub(super) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}
