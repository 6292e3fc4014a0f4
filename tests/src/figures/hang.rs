use super::open_loop::{Arrivals, Load, Transfers};
use super::overload::next;
use super::report::Figure;
use super::stage::{Plan, Stage, audit, cluster, metric};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep, timeout};

const RUNS: usize = 3;
/// Statement time-out and a second, by the default settings, and one look at the clock.
const DETECTED: Duration = Duration::from_millis(3100);
/// The new session, and the batches that are sent again.
const APPLIED: Duration = Duration::from_millis(3500);

/// One session that stops answering, while all the others work: nothing is closed and nothing times out.
pub(super) async fn hang(plan: &Plan) -> Figure {
    let cluster = cluster(&[]);
    let stage = Stage::on(plan, &cluster, &[]).await;
    let mut first = 1;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(once(&stage, &mut first).await);
    }
    let worst = |time: fn(&Run) -> Option<Duration>| {
        let times: Option<Vec<_>> = runs.iter().map(time).collect();
        times.and_then(|times| times.into_iter().max())
    };
    let mut figure = Figure::default();
    figure.within("watchdog, worst of 3", worst(|run| run.detected), DETECTED);
    figure.within("first 200 after the stop, worst of 3", worst(|run| run.applied), APPLIED);
    let audit = audit(&stage.database).await;
    figure.row("audit afterwards", "clean".into(), audit.to_string(), audit["clean"] == true);
    figure.note(
        "200 requests a second, no account in two of them at a time; the backend of the lane is stopped by \
         SIGSTOP, but while it holds a lock that every commit needs, and goes on when the run is over",
    );
    let runs: Vec<_> = runs.into_iter().map(|run| run.raw).collect();
    figure.raw = json!({ "runs": runs });
    figure
}

struct Run {
    detected: Option<Duration>,
    applied: Option<Duration>,
    raw: serde_json::Value,
}

async fn once(stage: &Stage, first: &mut u64) -> Run {
    let address = stage.server.client.address();
    let rate = Arrivals::Constant(200.0);
    let mut load = Load::new(address, rate, Duration::from_secs(11));
    load.connections = 1000;
    // What the stopped backend has locked is in nobody else's way.
    load.transfers = Transfers { first: *first, debits: 499, credits: 501, body_bytes: 0 };
    let before = metric(&stage.server, "watchdog_total").await;
    let load = load.start();
    sleep(Duration::from_secs(3)).await;
    let (lane, stopped, attempts) = stop_lane(stage).await;
    let detected = timeout(Duration::from_secs(7), async {
        let mut tick = interval(Duration::from_millis(10));
        while metric(&stage.server, "watchdog_total").await == before {
            tick.tick().await;
        }
        stopped.elapsed()
    })
    .await
    .ok();
    let answers = load.end().await;
    kill_process(lane, Signal::CONT).expect("the backend goes on");
    *first = next(&answers, *first);
    let stopped = answers.at(stopped);
    // What was on its way to the caller when the backend stopped is not a sign of life.
    let still = Duration::from_millis(100);
    let applied = answers.first_applied_after(stopped + still).map(|at| at - stopped);
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let raw = json!({
        "stops": attempts,
        "watchdog_seconds": seconds(detected),
        "first_applied_seconds": seconds(applied),
        "answers": answers.counts(),
    });
    Run { detected, applied, raw }
}

/// Stops the backend of the lane, at a moment at which nobody else waits for a lock of its that every
/// commit needs: while it holds one, no server could do anything. Returns how often it was stopped for that.
async fn stop_lane(stage: &Stage) -> (Pid, Instant, u32) {
    for attempt in 1..=20 {
        let lane = stage.database.number(LANE).await;
        let lane = Pid::from_raw(lane as i32).expect("a process id");
        let session = stage.database.superuser().await;
        kill_process(lane, Signal::STOP).expect("the backend is stopped");
        let stopped = Instant::now();
        let commit = session.query_one(COMMIT, &[]);
        if timeout(Duration::from_millis(300), commit).await.is_ok_and(|commit| commit.is_ok()) {
            return (lane, stopped, attempt);
        }
        kill_process(lane, Signal::CONT).expect("the backend goes on");
        sleep(Duration::from_millis(300)).await;
    }
    panic!("whenever the backend is stopped, nobody can commit");
}

const COMMIT: &str = "SELECT pg_logical_emit_message(true, 'giro', 'others commit')::text";

const LANE: &str = "SELECT pid::int8 FROM pg_stat_activity
                     WHERE application_name = 'giro lane 1' AND datname = current_database()
                     ORDER BY backend_start DESC LIMIT 1";
