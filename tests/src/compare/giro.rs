//! Giro as its users run it: `giro migrate`, `giro serve` and `giro bench` as processes of their own.

use super::cell::Cell;
use super::plan::Plan;
use super::raw::{Latency, Measured};
use super::site::Place;
use super::watch::{cpu_seconds, now};
use crate::ServerProcess;
use crate::figures::stage::serve;
use crate::process;
use rustix::process::Signal;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The program, and what its `giro bench` can do.
pub(super) struct Giro {
    program: PathBuf,
    /// Names a workload; older ones have this one only.
    workload: bool,
    /// Lets requests come by themselves.
    pub(super) open_loop: bool,
}

impl Giro {
    /// Looks what it can do.
    pub(super) async fn new(program: PathBuf) -> Result<Self, String> {
        let path = program.display().to_string();
        let (code, help, said) = process::run(&path, "bench", &["--help"], None).await;
        if code != Some(0) {
            return Err(format!("{path} bench --help: {said}"));
        }
        let (workload, open_loop) = (help.contains("--workload"), help.contains("--arrivals"));
        Ok(Self { program, workload, open_loop })
    }

    /// Makes the schema in the owner's database.
    pub(super) async fn migrate(&self, owner: &str) -> Result<(), String> {
        let output = self.command().arg("migrate").env("DATABASE_URL", owner).output().await;
        succeeded("giro migrate", output).map(drop)
    }

    /// Starts a server with its default settings.
    pub(super) async fn serve(&self, url: &str) -> ServerProcess {
        serve(&self.program, url, &[]).await
    }

    /// Ends it in order.
    pub(super) async fn stop(&self, server: ServerProcess) -> Result<(), String> {
        server.signal(Signal::TERM);
        let ended = timeout(Duration::from_secs(30), server.ended()).await;
        let status = ended.map_err(|_| "giro serve does not end")?;
        status.success().then_some(()).ok_or_else(|| format!("giro serve ended with {status}"))
    }

    /// Makes accounts that are debited, and others, where they are missing.
    pub(super) async fn make_accounts(
        &self,
        server: &ServerProcess,
        database: &str,
        rows: u64,
        accounts: u64,
    ) -> Result<(), String> {
        let mut command = self.bench(server, database, rows, accounts);
        command.args(["--connections", "1", "--warmup", "0s", "--duration", "500ms"]);
        succeeded("giro bench", command.output().await).map(drop)
    }

    /// Measures a cell. `rate` is what is to come each second, when requests come by themselves.
    pub(super) async fn run(
        &self,
        plan: &Plan,
        place: &Place,
        cell: &Cell,
        rate: Option<f64>,
    ) -> Result<Measured, String> {
        let server = self.serve(&place.url("giro_app")).await;
        let own = std::process::id();
        let (began, tool) = (now(), cpu_seconds(own)?);
        let accounts = (cell.condition.rows, plan.accounts);
        let load = self.load(&server, &place.direct, accounts, |command| {
            command.args(["--connections", &cell.clients.to_string()]);
            command.args(["--warmup", &milliseconds(plan.warmup)]);
            command.args(["--duration", &milliseconds(plan.seconds)]);
            let bulk = cell.contender.transfers_per_request(plan.bulk);
            if bulk > 1 {
                command.args(["--bulk", &bulk.to_string()]);
            }
            if let Some(rate) = rate {
                command.args(["--arrivals", "poisson", "--rate", &format!("{rate:.0}")]);
            }
        });
        let measured = load.await;
        let tool = (cpu_seconds(own)? - tool) / ((now() - began) as f64 / 1e6);
        self.stop(server).await?;
        Ok(Measured { offered_per_second: rate, tool_cores: Some(tool), ..measured? })
    }

    /// A load of any kind between these many accounts, debited and credited, and its report.
    pub(super) async fn load(
        &self,
        server: &ServerProcess,
        database: &str,
        (rows, accounts): (u64, u64),
        options: impl FnOnce(&mut Command),
    ) -> Result<Measured, String> {
        let mut command = self.bench(server, database, rows, accounts);
        options(&mut command);
        let output = succeeded("giro bench", command.output().await)?;
        measured(&serde_json::from_slice(&output).map_err(|error| error.to_string())?)
    }

    fn bench(&self, server: &ServerProcess, database: &str, rows: u64, accounts: u64) -> Command {
        let url = format!("http://{}", server.client.address());
        let mut command = self.command();
        command.args(["bench", "--json", "--url", &url, "--database-url", database]);
        command.args(["--server-pid", &server.id().to_string()]);
        command.args(["--hot-accounts", &rows.to_string(), "--accounts", &accounts.to_string()]);
        if self.workload {
            command.args(["--workload", "hot"]);
        }
        command
    }

    /// Without a settings file.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir("/").env_remove("DATABASE_URL").kill_on_drop(true);
        command
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.0}ms", seconds * 1e3)
}

fn succeeded(what: &str, output: std::io::Result<std::process::Output>) -> Result<Vec<u8>, String> {
    let output = output.map_err(|error| format!("{what}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or_default();
    output.status.success().then_some(output.stdout).ok_or_else(|| format!("{what}: {said}"))
}

/// From its report, which ends in an error when the balances do not agree.
fn measured(report: &Value) -> Result<Measured, String> {
    let number = |path: &str| {
        let value = report.pointer(path).and_then(Value::as_f64);
        value.ok_or_else(|| format!("giro bench does not report {path}"))
    };
    // Of what was done: a refusal is quick. What was never sent has waited as well.
    let done = ["single", "bulk"].map(|kind| format!("/latency_by_kind/{kind}/latency_ms"));
    let is_open = report.pointer("/open_loop").is_some_and(|it| !it.is_null());
    let of = done.iter().find(|path| !is_open && report.pointer(path).is_some());
    let of = of.map_or("/latency_ms", String::as_str);
    let latency = Latency {
        p50: number(&format!("{of}/p50"))?,
        p95: number(&format!("{of}/p95"))?,
        p99: number(&format!("{of}/p99"))?,
        p99_9: number(&format!("{of}/p99_9"))?,
        max: number(&format!("{of}/max"))?,
    };
    let outcome = |name: &str| number(&format!("/outcomes/{name}")).unwrap_or(0.0) as u64;
    let (seconds, rate) =
        (number("/workload/measured_seconds")?, number("/throughput/transfers_per_second")?);
    // Older ones do not report it.
    let postgres = number("/database_cpu_seconds/value").ok();
    Ok(Measured {
        seconds,
        transfers_per_second: rate,
        postgres_cpu_us: postgres.map(|cpu| cpu * 1e6 / (rate * seconds)),
        latency_ms: Some(latency),
        backend_cpu_us: number("/backend_cpu_us_per_transfer/value").ok(),
        wal_bytes: number("/database/cluster_wal_bytes_per_transfer").ok(),
        commits: number("/database/commits").ok().map(|commits| commits as i64),
        transfers_per_commit: number("/database/transfers_per_commit").ok(),
        client_cpu_seconds: number("/client_cpu_seconds/value").ok(),
        server_cpu_seconds: number("/server_cpu_seconds/value").ok(),
        refused: ["rejected", "not_applied", "unknown"].map(outcome).iter().sum(),
        ..Measured::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_without_its_figures_is_refused() {
        let latency = json!({"p50": 1, "p95": 2, "p99": 3, "p99_9": 4, "max": 5});
        let mut report = json!({
            "workload": {"measured_seconds": 8.0}, "latency_ms": latency,
            "throughput": {"transfers_per_second": 1000.0}, "outcomes": {"not_applied": 7},
            "server_cpu_seconds": {"not_measured": "why"},
        });
        let measured = measured(&report).unwrap();
        assert_eq!((measured.transfers_per_second, measured.refused), (1000.0, 7));
        assert_eq!((measured.latency_ms.unwrap().p99_9, measured.server_cpu_seconds), (4.0, None));
        let bulks = json!({"p50": 8, "p95": 8, "p99": 8, "p99_9": 8, "max": 8});
        report["latency_by_kind"] = json!({"refused": {}, "bulk": {"latency_ms": bulks}});
        assert_eq!(super::measured(&report).unwrap().latency_ms.unwrap().p50, 8.0);
        report["throughput"] = json!({});
        assert!(super::measured(&report).unwrap_err().contains("transfers_per_second"));
    }
}
