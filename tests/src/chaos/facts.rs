//! `run.json`: what a run is, on which machine, with which settings.

use super::plan::{RunPlan, name};
use super::recorder::Clock;
use super::{Stage, Witness};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const FILE: &str = "run.json";
/// What PostgreSQL leaves, where it is kept.
pub(super) const DATA: &str = "postgres";

const SETTINGS: &str = "SELECT name, setting FROM pg_settings
    WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'max_connections',
                   'shared_buffers', 'synchronous_standby_names')
    ORDER BY name";

/// Writes it, before anything happens.
pub(super) async fn write(
    directory: &Path,
    plan: &RunPlan,
    stage: &Stage,
    clock: Clock,
) -> Result<(), String> {
    let mut witness = Witness::of(stage.primary());
    let rows = witness.look(SETTINGS).await.ok_or("PostgreSQL does not tell its settings")?;
    let settings: serde_json::Map<_, _> =
        rows.iter().map(|row| (row.get(0), Value::String(row.get(1)))).collect();
    let facts = json!({
        "seed": plan.seed,
        "began": micros_since_1970() - (clock.now() / 1_000) as i64,
        "giro": version(plan),
        "size": plan.size,
        "servers": plan.stage.servers,
        "standby": plan.stage.standby,
        "faults": plan.faults.iter().copied().map(name).collect::<Vec<_>>(),
        "left_out": plan.left_out,
        "until": plan.until,
        "rate": plan.load.rate,
        "arrivals": format!("{:?}", plan.load.arrivals),
        "callers": plan.load.callers,
        "bulk": plan.load.bulk_max,
        "accounts": {"hot": plan.load.hot, "cold": plan.load.cold},
        "gates": plan.gates,
        "postgres": settings,
        "machine": machine(),
    });
    let path = directory.join(FILE);
    fs::write(&path, format!("{facts:#}\n")).map_err(|error| format!("{}: {error}", path.display()))
}

fn micros_since_1970() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// As the program says itself.
fn version(plan: &RunPlan) -> String {
    let said = Command::new(&plan.stage.giro).arg("--version").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned());
    said.unwrap_or_default()
}

fn machine() -> Value {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<f64> = memory.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    json!({"cores": cores, "memory_gib": kib.map(|kib| (kib / 104_857.6).round() / 10.0), "kernel": kernel})
}
