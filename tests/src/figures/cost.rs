use super::answers::median;
use super::report::Figure;
use super::stage::{Plan, cluster, serve};
use crate::ServerProcess;
use giro_server::provision;
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

/// Pairs of runs, one of each server.
const PAIRS: usize = 6;
const SINGLES: [&str; 4] = ["--connections", "64", "--bulk", "0"];
/// As many as fill both batches in flight, and no queue.
const BULKS: [&str; 4] = ["--connections", "20", "--bulk", "100"];

/// What this version takes more than an older one while nothing is wrong.
pub(super) async fn cost(plan: &Plan) -> Figure {
    let mut figure = Figure::default();
    let Some(baseline) = &plan.baseline else {
        figure.note("not measured: no --baseline was given");
        return figure;
    };
    let cluster = cluster(&[]);
    let mut sides = Vec::new();
    for (name, program) in [("old", baseline), ("new", &plan.giro)] {
        let url = |user: &str, database: &str| cluster.url(user, database);
        let made = provision(&url, name).await.expect("the database is provisioned");
        migrate(program, &made.owner).await;
        let server = serve(program, &made.server, &[]).await;
        // The statistics that the report reads are a superuser's.
        sides.push(Side { server, database: cluster.url("postgres", name) });
    }
    let mut raw = serde_json::Map::new();
    for (name, load) in [("singles on 64 connections", SINGLES), ("bulks of 100", BULKS)] {
        let mut runs = [Vec::new(), Vec::new()];
        for pair in 0..PAIRS {
            // Neither is always the first.
            for side in [pair % 2, 1 - pair % 2] {
                runs[side].push(bench(plan, &sides[side], &load).await);
            }
        }
        let [old, new] = runs;
        let throughput = ratio(&old, &new, |run| run.rate);
        let cpu = ratio(&old, &new, |run| run.cpu);
        figure.at_least(&format!("throughput of before, {name}"), 100.0 * throughput, 95.0, " %");
        figure.fact(&format!("the same, pair by pair, {name}"), pairs(&old, &new));
        figure
            .fact(&format!("CPU of the server of before, {name}"), format!("{:.0} %", 100.0 * cpu));
        raw.insert(name.into(), json!({"old": values(&old), "new": values(&new)}));
    }
    figure.note(format!(
        "ratios of the medians of {PAIRS} runs of 4 s each, the two servers in turn on one cluster, by \
         giro bench with 10 hot accounts and 10,000 others; the single runs are in the raw numbers"
    ));
    figure.raw = raw.into();
    figure
}

struct Side {
    server: ServerProcess,
    database: String,
}

struct Run {
    rate: f64,
    /// Seconds of the server's process for one transfer.
    cpu: f64,
}

fn ratio(old: &[Run], new: &[Run], of: fn(&Run) -> f64) -> f64 {
    let middle = |runs: &[Run]| median(&runs.iter().map(of).collect::<Vec<_>>());
    middle(new) / middle(old)
}

/// How much the ratio of throughput varies: lowest, median and highest of the pairs.
fn pairs(old: &[Run], new: &[Run]) -> String {
    let ratio = |(old, new): (&Run, &Run)| 100.0 * new.rate / old.rate;
    let mut ratios: Vec<_> = old.iter().zip(new).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let (lowest, highest) = (ratios[0], ratios[ratios.len() - 1]);
    format!("{lowest:.0} to {highest:.0} %, median {:.0} %", median(&ratios))
}

fn values(runs: &[Run]) -> Value {
    let rate: Vec<_> = runs.iter().map(|run| run.rate.round()).collect();
    let cpu: Vec<_> = runs.iter().map(|run| (run.cpu * 1e7).round() / 10.0).collect();
    json!({"transfers_per_second": rate, "server_cpu_us_per_transfer": cpu})
}

async fn migrate(program: &Path, url: &str) {
    let output = Command::new(program)
        .arg("migrate")
        .env("DATABASE_URL", url)
        // Without a settings file, which would be one of this version.
        .current_dir("/")
        .output()
        .await;
    let output = output.expect("the migration runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn bench(plan: &Plan, side: &Side, load: &[&str]) -> Run {
    let url = format!("http://{}", side.server.client.address());
    let pid = side.server.id().to_string();
    let output = Command::new(&plan.giro)
        .args(["bench", "--json", "--url", &url, "--database-url", &side.database])
        .args(["--server-pid", &pid, "--accounts", "10000", "--duration", "4s", "--warmup", "1s"])
        .args(load)
        .current_dir("/")
        .kill_on_drop(true)
        .output()
        .await
        .expect("giro bench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("its report");
    let rate = report["throughput"]["transfers_per_second"].as_f64().expect("a rate");
    let seconds = report["workload"]["measured_seconds"].as_f64().expect("a length");
    let cpu = report["server_cpu_seconds"]["value"].as_f64().expect("CPU time of the server");
    Run { rate, cpu: cpu / (rate * seconds) }
}
