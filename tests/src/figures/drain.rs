use super::open_loop::{Arrivals, Load};
use super::report::Figure;
use super::stage::{Plan, Stage, audit, cluster};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const RATE: f64 = 1000.0;
/// The default of `server.drain_timeout`.
const DRAIN: Duration = Duration::from_secs(10);

/// A stop under load, with a database that works and with one that does not.
pub(super) async fn drain(plan: &Plan) -> Figure {
    let mut figure = Figure::default();
    let (works, frozen) = (once(plan, false).await, once(plan, true).await);
    for (name, run) in [("under load", &works), ("with PostgreSQL frozen", &frozen)] {
        let what = format!("SIGTERM {name}: requests without an answer");
        figure.at_most(&what, run.unanswered as f64, 0.0, "");
        let what = format!("SIGTERM {name}: until the end");
        figure.within(&what, run.ended, DRAIN + Duration::from_secs(1));
        let code = run.code.map_or("none".into(), |code| code.to_string());
        figure.fact(&format!("SIGTERM {name}: exit code"), code);
        let (clean, text) = (run.audit["clean"] == true, run.audit.to_string());
        figure.row(&format!("SIGTERM {name}: audit"), "clean".into(), text, clean);
    }
    figure.note(format!(
        "{RATE} requests a second on 200 connections that are kept; who finds no listener was not accepted \
         and is not counted; with a frozen PostgreSQL the signal comes 0.5 s after SIGSTOP"
    ));
    figure.raw = json!({"under_load": works.raw, "frozen": frozen.raw});
    figure
}

struct Run {
    unanswered: usize,
    ended: Option<Duration>,
    code: Option<i32>,
    audit: Value,
    raw: Value,
}

async fn once(plan: &Plan, freeze: bool) -> Run {
    let cluster = cluster(&[]);
    let Stage { server, database } = Stage::on(plan, &cluster, &[]).await;
    let address = server.client.address();
    let mut load = Load::new(address, Arrivals::Constant(RATE), Duration::from_secs(30));
    load.connections = 200;
    let load = load.start();
    sleep(Duration::from_secs(2)).await;
    if freeze {
        cluster.freeze().expect("the cluster is frozen");
        sleep(Duration::from_millis(500)).await;
    }
    server.signal(Signal::TERM);
    let signalled = Instant::now();
    let status = timeout(Duration::from_secs(20), server.ended()).await.ok();
    let ended = status.map(|_| signalled.elapsed());
    let answers = load.stop().await;
    if freeze {
        cluster.thaw().expect("the cluster goes on");
    }
    let unanswered = answers.all.iter().filter(|answer| matches!(answer.reason, "cut" | "silent"));
    let unanswered = unanswered.count();
    let raw = json!({
        "ended_seconds": ended.map(|time| time.as_secs_f64()),
        "exit_code": status.and_then(|status| status.code()),
        "answers": answers.counts(),
    });
    let code = status.and_then(|status| status.code());
    Run { unanswered, ended, code, audit: audit(&database).await, raw }
}
