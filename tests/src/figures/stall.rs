use super::open_loop::{Arrivals, Load, Transfers};
use super::overload::plateau;
use super::report::Figure;
use super::stage::{Plan, SLOW_COMMITS, SLOW_COMMITS_NOTE, Stage, audit, cluster};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const BASELINE: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(10);
const AFTERWARDS: Duration = Duration::from_secs(16);

/// A database that does nothing for ten seconds, under callers who try again at once.
pub(super) async fn stall(plan: &Plan) -> Figure {
    let cluster = cluster(&SLOW_COMMITS);
    let stage = Stage::on(plan, &cluster, &[("GIRO__BATCH__MAX_ITEMS", "16")]).await;
    let mut first = 1;
    let rate = 0.7 * plateau(&stage, &mut first).await.goodput;
    let address = stage.server.client.address();
    let length = BASELINE + STALL + AFTERWARDS;
    let mut load = Load::new(address, Arrivals::Constant(rate), length);
    load.connections = 2000;
    load.retries = 3;
    load.transfers = Transfers::from(first);
    let load = load.start();
    sleep(BASELINE).await;
    cluster.freeze().expect("the cluster is frozen");
    let frozen = Instant::now();
    sleep(STALL).await;
    cluster.thaw().expect("the cluster goes on");
    let thawed = Instant::now();
    let answers = load.end().await;

    let (frozen, thawed) = (answers.at(frozen), answers.at(thawed));
    let baseline = answers.goodput(Duration::from_secs(1), frozen);
    let recovered = answers.recovered(thawed, 0.95 * baseline).map(|at| at - thawed);
    let applied = answers.first_applied_after(thawed).map(|at| at - thawed);
    let seconds = 0..length.as_secs();
    let second = Duration::from_secs(1);
    let goodput: Vec<_> =
        seconds.map(|n| answers.goodput(n as u32 * second, (n as u32 + 1) * second)).collect();
    let mut figure = Figure::default();
    let what = "95 % of goodput after a stall of 10 s";
    figure.within(what, recovered, Duration::from_secs(10));
    let audit = audit(&stage.database).await;
    figure.row("audit afterwards", "clean".into(), audit.to_string(), audit["clean"] == true);
    figure.note(format!(
        "{SLOW_COMMITS_NOTE}; {rate:.0} requests a second, 70 % of what it can do, by callers who send \
         up to 3 times more at once whatever they are told; all processes of PostgreSQL are stopped by \
         SIGSTOP for 10 s"
    ));
    figure.raw = json!({
        "offered_per_second": rate,
        "baseline_per_second": baseline,
        "first_applied_after_seconds": applied.map(|time| time.as_secs_f64()),
        "recovered_after_seconds": recovered.map(|time| time.as_secs_f64()),
        "goodput_by_second": goodput,
        "answers": answers.counts(),
    });
    figure
}
