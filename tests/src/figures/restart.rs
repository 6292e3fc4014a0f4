use super::open_loop::{Arrivals, Load, Transfers};
use super::overload::next;
use super::report::Figure;
use super::stage::{Plan, Stage, audit, cluster, until_true};
use crate::cluster::TestCluster;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const RUNS: usize = 3;
const RATE: f64 = 500.0;

/// A crash of PostgreSQL, and its recovery.
pub(super) async fn restart(plan: &Plan) -> Figure {
    let mut cluster = cluster(&[]);
    let stage = Stage::on(plan, &cluster, &[]).await;
    let mut first = 1;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(once(&stage, &mut cluster, &mut first).await);
    }
    let worst = |time: fn(&Run) -> Option<Duration>| {
        let times: Option<Vec<_>> = runs.iter().map(time).collect();
        times.and_then(|times| times.into_iter().max())
    };
    let mut figure = Figure::default();
    let applied = worst(|run| run.applied);
    figure.within(
        "first 200 after PostgreSQL accepts, worst of 3",
        applied,
        Duration::from_secs(1),
    );
    let recovered = worst(|run| run.recovered);
    figure.within("95 % of goodput, worst of 3", recovered, Duration::from_secs(5));
    let audit = audit(&stage.database).await;
    figure.row("audit afterwards", "clean".into(), audit.to_string(), audit["clean"] == true);
    figure.note(format!(
        "{RATE} requests a second; all processes of PostgreSQL are killed by SIGKILL and started again \
         after 2 s; it accepts when a session of somebody else is let in"
    ));
    let runs: Vec<_> = runs.into_iter().map(|run| run.raw).collect();
    figure.raw = json!({ "runs": runs });
    figure
}

struct Run {
    applied: Option<Duration>,
    recovered: Option<Duration>,
    raw: serde_json::Value,
}

async fn once(stage: &Stage, cluster: &mut TestCluster, first: &mut u64) -> Run {
    let address = stage.server.client.address();
    let mut load = Load::new(address, Arrivals::Constant(RATE), Duration::from_secs(16));
    load.transfers = Transfers::from(*first);
    let load = load.start();
    sleep(Duration::from_secs(3)).await;
    let url = cluster.url("postgres", "giro");
    tokio::task::block_in_place(|| cluster.kill());
    let killed = Instant::now();
    sleep(Duration::from_secs(2)).await;
    let accepts = tokio::spawn(until_true(url, "SELECT true"));
    tokio::task::block_in_place(|| cluster.start_again());
    let accepts = accepts.await.expect("it accepts");
    let answers = load.end().await;
    *first = next(&answers, *first);
    let (killed, accepts) = (answers.at(killed), answers.at(accepts));
    let baseline = answers.goodput(Duration::from_secs(1), killed);
    let applied = answers.first_applied_after(accepts).map(|at| at - accepts);
    let recovered = answers.recovered(accepts, 0.95 * baseline).map(|at| at - accepts);
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let raw = json!({
        "baseline_per_second": baseline,
        "down_seconds": (accepts - killed).as_secs_f64(),
        "first_applied_seconds": seconds(applied),
        "recovered_seconds": seconds(recovered),
        "answers": answers.counts(),
    });
    Run { applied, recovered, raw }
}
