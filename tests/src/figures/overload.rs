use super::answers::{Answer, Answers, median, quantile};
use super::open_loop::{Arrivals, Load, Transfers};
use super::report::Figure;
use super::stage::{Plan, SLOW_COMMITS, SLOW_COMMITS_NOTE, Stage, cluster, metric};
use serde_json::json;
use std::time::Duration;

const BATCH_ITEMS: usize = 16;
const TARGET_WAIT: Duration = Duration::from_millis(100);
const PLATEAU: Duration = Duration::from_secs(4);
const OVERLOAD: Duration = Duration::from_secs(11);
/// Of each run, until it has settled.
const SETTLING: Duration = Duration::from_secs(1);

/// Goodput, latency and refusals at twice to ten times what the database can do.
pub(super) async fn overload(plan: &Plan) -> Figure {
    let cluster = cluster(&SLOW_COMMITS);
    let items = BATCH_ITEMS.to_string();
    let stage = Stage::on(plan, &cluster, &[("GIRO__BATCH__MAX_ITEMS", &items)]).await;
    let mut figure = Figure::default();
    let mut first = 1;
    let (mut peaks, mut runs) = (vec![plateau(&stage, &mut first).await], Vec::new());
    for factor in [2.0, 5.0, 10.0] {
        let run = Run::new(&stage, &mut first, factor, peaks[0].goodput).await;
        // The machine has other work: what it can do is looked up before and after each run.
        peaks.push(plateau(&stage, &mut first).await);
        runs.push(run);
    }
    let peak = median(&peaks.iter().map(|peak| peak.goodput).collect::<Vec<_>>());
    let batch = Duration::from_secs_f64(median(
        &peaks.iter().map(|peak| peak.batch_seconds).collect::<Vec<_>>(),
    ));
    for run in &runs {
        let at = |what: &str| format!("{what} at {}x", run.factor);
        figure.at_least(&at("goodput of peak"), 100.0 * run.goodput / peak, 90.0, " %");
        figure.within(&at("accepted, p99"), Some(run.accepted), TARGET_WAIT + 3 * batch);
        figure.fact(&at("the same in the median second"), format!("{:.0} ms", run.usual_second));
        figure.within(&at("shed, p99"), Some(run.shed), Duration::from_millis(10));
        figure.at_most(&at("accepted, then expired"), 100.0 * run.expired, 1.0, " %");
    }
    figure.note(format!(
        "{SLOW_COMMITS_NOTE}; batch.max_items = {BATCH_ITEMS}. The peak is the median of \
         {} closed loops of 4 s: {:.0} a second (each: {:.0?}); a batch takes {:.1} ms",
        peaks.len(),
        peak,
        peaks.iter().map(|peak| peak.goodput).collect::<Vec<_>>(),
        batch.as_secs_f64() * 1e3
    ));
    figure.note(
        "arrivals are Poisson, latency counts from the time that a request was due; the lateness of the \
         generator is part of it and given in the raw numbers",
    );
    let peaks: Vec<_> = peaks.iter().map(|peak| (peak.goodput, peak.batch_seconds)).collect();
    let runs: Vec<_> = runs.into_iter().map(|run| run.raw).collect();
    figure.raw = json!({"peaks": peaks, "peak": peak, "runs": runs});
    figure
}

/// What the database can do.
pub(super) struct Plateau {
    pub(super) goodput: f64,
    /// Between one batch and the next.
    pub(super) batch_seconds: f64,
}

/// Measures it by as many callers as keep the batches full and no more, each of which waits for its
/// answer.
pub(super) async fn plateau(stage: &Stage, first: &mut u64) -> Plateau {
    let mut load = Load::new(stage.server.client.address(), Arrivals::Closed, PLATEAU);
    load.connections = 4 * BATCH_ITEMS;
    load.transfers = Transfers::from(*first);
    let batches = metric(&stage.server, "batch_seconds_count").await;
    let answers = load.run().await;
    let batches = metric(&stage.server, "batch_seconds_count").await - batches;
    *first = next(&answers, *first);
    Plateau {
        goodput: answers.goodput(SETTLING, PLATEAU),
        batch_seconds: PLATEAU.as_secs_f64() / batches,
    }
}

/// An id above all of these.
pub(super) fn next(answers: &Answers, first: u64) -> u64 {
    answers.all.iter().map(|answer| answer.id + 1).max().unwrap_or(first)
}

struct Run {
    factor: f64,
    goodput: f64,
    accepted: Duration,
    shed: Duration,
    expired: f64,
    /// The 99th percentile of accepted requests in the median second, in milliseconds.
    usual_second: f64,
    raw: serde_json::Value,
}

impl Run {
    async fn new(stage: &Stage, first: &mut u64, factor: f64, peak: f64) -> Self {
        let rate = factor * peak;
        let address = stage.server.client.address();
        let mut load = Load::new(address, Arrivals::Poisson(rate), OVERLOAD);
        load.connections = 512;
        load.transfers = Transfers::from(*first);
        let expired = metric(&stage.server, "deadline_expired_total").await;
        let answers = load.run().await;
        let expired = metric(&stage.server, "deadline_expired_total").await - expired;
        *first = next(&answers, *first);
        let part =
            |part: f64, which: &dyn Fn(&Answer) -> bool, of: &dyn Fn(&Answer) -> Duration| {
                quantile(answers.due(SETTLING, OVERLOAD).filter(|a| which(a)).map(of), part)
            };
        let p99 = |which: &dyn Fn(&Answer) -> bool| part(0.99, which, &Answer::latency);
        let (accepted, shed) = (p99(&Answer::is_applied), p99(&Answer::is_shed));
        let count = |which: &dyn Fn(&&Answer) -> bool| answers.all.iter().filter(which).count();
        let unknown = count(&|answer| answer.status == 504) as f64;
        let applied = count(&|answer| answer.is_applied()) as f64;
        let goodput = answers.goodput(SETTLING, OVERLOAD);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        // A pause of the database shows as one bad second and a long gap; a queue that is too long in all.
        let second = Duration::from_secs(1);
        let by_second: Vec<f64> = (1..OVERLOAD.as_secs() as u32)
            .map(|n| {
                let due = answers.due(n * second, (n + 1) * second).filter(|a| a.is_applied());
                millis(quantile(due.map(Answer::latency), 0.99)).round()
            })
            .collect();
        let applied_at: Vec<_> =
            answers.all.iter().filter(|a| a.is_applied()).map(|a| a.done).collect();
        let gaps = applied_at.windows(2).map(|two| two[1] - two[0]);
        let raw = json!({
            "factor": factor,
            "offered_per_second": rate,
            "goodput_per_second": goodput,
            "answers": answers.counts(),
            "accepted_ms": {
                "p50": millis(part(0.5, &Answer::is_applied, &Answer::latency)),
                "p99": millis(accepted),
                "max": millis(part(1.0, &Answer::is_applied, &Answer::latency)),
                "p99_by_second": by_second,
                "longest_gap": millis(gaps.max().unwrap_or_default()),
            },
            "shed_ms": {
                "p50": millis(part(0.5, &Answer::is_shed, &Answer::latency)),
                "p99": millis(shed),
                "p99_from_sending": millis(part(0.99, &Answer::is_shed, &|a| a.done - a.sent)),
            },
            "generator_late_ms_p99": millis(part(0.99, &|_| true, &|a| a.sent - a.due)),
            "expired_in_queue": expired,
            "generator_sent": answers.all.len(),
        });
        let expired = (unknown + expired) / (applied + unknown + expired).max(1.0);
        let usual_second = median(&by_second);
        Self { factor, goodput, accepted, shed, expired, usual_second, raw }
    }
}
