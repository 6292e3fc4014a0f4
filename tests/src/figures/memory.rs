use super::open_loop::{Arrivals, Load, Transfers};
use super::overload::next;
use super::report::Figure;
use super::stage::{Plan, SLOW_COMMITS, SLOW_COMMITS_NOTE, Stage, cluster};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

const MIB: f64 = 1024.0;
const BODY: usize = 65_000;
/// So few that ten times as many such bodies a second are no more than a loopback carries.
const BATCH_ITEMS: usize = 4;

/// What the server holds when everything that may be large is.
pub(super) async fn memory(plan: &Plan) -> Figure {
    let cluster = cluster(&SLOW_COMMITS);
    let items = BATCH_ITEMS.to_string();
    let stage = Stage::on(plan, &cluster, &[("GIRO__BATCH__MAX_ITEMS", &items)]).await;
    let address = stage.server.client.address();
    let load = |arrivals, length, first| {
        let mut load = Load::new(address, arrivals, Duration::from_secs(length));
        load.transfers = Transfers { body_bytes: BODY, ..Transfers::from(first) };
        load
    };
    let mut closed = load(Arrivals::Closed, 4, 1);
    closed.connections = 4 * BATCH_ITEMS;
    let answers = closed.run().await;
    let peak = answers.goodput(Duration::from_secs(1), Duration::from_secs(4));
    sleep(Duration::from_secs(2)).await;
    let before = kib(&stage, "VmRSS");
    let mut first = next(&answers, 1);
    let (mut after, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut heavy = load(Arrivals::Constant(10.0 * peak), 10, first);
        heavy.connections = 1000;
        let answers = heavy.run().await;
        first = next(&answers, first);
        counts.push(answers.counts());
        sleep(Duration::from_secs(10)).await;
        after.push(kib(&stage, "VmRSS"));
    }
    let most = kib(&stage, "VmHWM");
    let mut figure = Figure::default();
    figure.at_most("most resident", most / MIB, 256.0, " MiB");
    figure.at_most("resident after 10 s of rest, of before", after[0] / before, 1.2, "x");
    let what = "resident after the same again, of after the first time";
    figure.at_most(what, after[1] / after[0], 1.2, "x");
    figure.note(format!(
        "{SLOW_COMMITS_NOTE}; 1,000 connections offer {:.0} bodies of {BODY} bytes a second, ten times what \
         is applied; before {:.1} MiB, most {:.1} MiB, after {:.1} MiB, after the same again {:.1} MiB",
        10.0 * peak,
        before / MIB,
        most / MIB,
        after[0] / MIB,
        after[1] / MIB
    ));
    figure.raw = json!({
        "peak_per_second": peak,
        "kib": {"before": before, "most": most, "after": after},
        "answers": counts,
    });
    figure
}

/// A line of the server's status in `/proc`, in KiB.
fn kib(stage: &Stage, name: &str) -> f64 {
    let path = format!("/proc/{}/status", stage.server.id());
    let status = std::fs::read_to_string(path).expect("the server's status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    value.expect("a number of KiB")
}
