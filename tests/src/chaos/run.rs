//! A run, from a fresh cluster to a verdict.
//!
//! 1. Load, and faults.
//! 2. Everything is healed; goodput has to come back.
//! 3. No new load; whatever nobody knows is read, and then sent again.
//! 4. Rest: queues are empty, metrics are read for the last time, the servers stop.
//! 5. The checker.
//!
//! What does not come back, is not resolved or does not come to rest in time is a failure of liveness, and
//! never a pass.

use super::alarm::Alarm;
use super::lock::{self, Lock};
use super::looks::{LOOKS, Looked, Looking};
use super::plan::RunPlan;
use super::recorder::{Lines, Recorder};
use super::report;
use super::scrapes::Scraper;
use super::summary::{self, Summary};
use super::timeline::Timeline;
use super::weather::{Forecast, Weather};
use super::workload::{Resolved, Sent, Workload};
use super::{Stage, facts};
use crate::cluster::TestCluster;
use futures_util::FutureExt;
use giro_checker::Verdict;
use giro_checker::history::FAULTS;
use std::any::Any;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Before faults begin; its second half says what goodput is.
const CALM: Duration = Duration::from_secs(3);
/// Of the goodput before the faults.
const BACK: f64 = 0.5;
const BACK_MAX: Duration = Duration::from_secs(60);
const RESOLVED_MAX: Duration = Duration::from_secs(120);
const REST_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);

/// What the phases before the checker have shown.
pub(super) struct Storm {
    pub(super) weather: Weather,
    pub(super) sent: Sent,
    pub(super) resolved: Resolved,
    pub(super) looked: Looked,
    /// Decided a second before the first fault.
    pub(super) goodput: f64,
    /// Told to be unknown before the first fault.
    pub(super) unknown_in_calm: u64,
    /// Until half of that was there again after the last fault.
    pub(super) back_seconds: f64,
}

/// Runs it, and leaves its directory. An error is one of this program or this machine; what is wrong with
/// Giro is in the summary.
pub async fn run(plan: RunPlan) -> Result<Summary, String> {
    let directory = plan.out.clone();
    let _lock = Lock::take(&directory)?;
    fresh(&directory)?;
    eprintln!("seed {}, in {}", plan.seed, directory.display());
    let began = Instant::now();
    let mut stage = Stage::start(plan.stage.clone()).await;
    let alarm = Arc::new(Alarm::default());
    let (recorder, history) = Recorder::begin(&directory, alarm.clone())
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    facts::write(&directory, &plan, &stage, recorder.clock()).await?;
    // A fault that does not happen, or a harness that breaks, is a panic, and no pass either.
    let storm = AssertUnwindSafe(storm(&plan, &mut stage, recorder, alarm)).catch_unwind();
    let storm = storm.await.unwrap_or_else(|panic| Err(panic_message(&*panic)));
    let timeline = tokio::task::block_in_place(|| history.end());
    let timeline = timeline.map_err(|error| format!("the history: {error}"))?;
    keep_logs(&directory, &stage);
    let (storm, verdict, mut failure) = judged(&directory, &mut stage, storm).await;
    if let Some(line) = stage.clusters.iter().find_map(TestCluster::deadlock) {
        failure.get_or_insert(line);
    }
    if let Err(error) = keep_data(&plan, &mut stage) {
        failure.get_or_insert(error);
    }
    let (sent, seconds) = (storm.as_ref(), began.elapsed().as_secs_f64());
    let summary = Summary::new(&plan, sent, &timeline, verdict.as_ref(), failure, seconds);
    write_up(&directory, &summary, &timeline, verdict.as_ref())?;
    Ok(summary)
}

/// The checker, where there is something to be checked.
async fn judged(
    directory: &Path,
    stage: &mut Stage,
    storm: Result<Storm, String>,
) -> (Option<Storm>, Option<Verdict>, Option<String>) {
    let storm = match storm {
        Ok(storm) => storm,
        Err(failure) => return (None, None, Some(failure)),
    };
    if let Err(failure) = stop_servers(stage).await {
        return (Some(storm), None, Some(failure));
    }
    eprintln!("checking …");
    let url = stage.primary().url("postgres", "giro");
    match giro_checker::check(directory, &url).await {
        Ok(verdict) => (Some(storm), Some(verdict), None),
        Err(error) => (Some(storm), None, Some(format!("it could not be checked: {error}"))),
    }
}

async fn storm(
    plan: &RunPlan,
    stage: &mut Stage,
    recorder: Recorder,
    alarm: Arc<Alarm>,
) -> Result<Storm, String> {
    let storm = tokio::select! {
        storm = phases(plan, stage, recorder, alarm.clone()) => storm,
        failure = alarm.raised() => Err(failure),
    };
    // Both may have happened at once, and either is looked at first.
    match alarm.said() {
        Some(failure) => Err(failure),
        None => storm,
    }
}

async fn phases(
    plan: &RunPlan,
    stage: &mut Stage,
    recorder: Recorder,
    alarm: Arc<Alarm>,
) -> Result<Storm, String> {
    let in_file = |error: std::io::Error| format!("{}: {error}", plan.out.display());
    let targets = stage.targets();
    let scraper = Scraper::start(&plan.out, targets.clone(), recorder.clock()).map_err(in_file)?;
    let workload = Workload::start(&plan.load, targets, recorder.clone(), alarm.clone()).await?;
    let looking =
        Looking::start(&plan.out, looks_url(stage), recorder.clock(), alarm).map_err(in_file)?;
    let goodput = calm(&workload).await?;
    let unknown_in_calm = workload.unknown();
    let lines = Lines::create(&plan.out.join(FAULTS)).map_err(in_file)?;
    let forecast = Forecast { stage, workload: &workload, recorder: &recorder, plan, lines };
    let weather = forecast.blow().await?;
    stage.until_ready().await;
    let back_seconds = back(&workload, goodput).await?;
    eprintln!("half of {goodput:.0} decisions a second after {back_seconds:.1} s; final reads …");
    let sent = workload.sent();
    let resolved = workload.resolve(RESOLVED_MAX).await?;
    scraper.rest(REST_MAX).await?;
    let looked = looking.end().await?;
    if looked.looks == 0 {
        return Err(format!("{LOOKS}: the ledger was never seen"));
    }
    Ok(Storm { weather, sent, resolved, looked, goodput, unknown_in_calm, back_seconds })
}

/// Decisions a second without a fault.
async fn calm(workload: &Workload) -> Result<f64, String> {
    sleep(CALM / 2).await;
    let before = workload.decided();
    sleep(CALM / 2).await;
    let goodput = (workload.decided() - before) as f64 / (CALM / 2).as_secs_f64();
    if goodput < 1.0 {
        return Err("liveness: nothing is decided although nothing is wrong".into());
    }
    Ok(goodput)
}

/// Seconds until a second that has enough of the goodput begins.
async fn back(workload: &Workload, goodput: f64) -> Result<f64, String> {
    let began = Instant::now();
    let second = Duration::from_secs(1);
    loop {
        let before = workload.decided();
        sleep(second).await;
        let now = (workload.decided() - before) as f64;
        if now >= goodput * BACK {
            return Ok((began.elapsed() - second).as_secs_f64());
        }
        if began.elapsed() > BACK_MAX {
            return Err(format!(
                "liveness: {now} decisions a second, {goodput:.0} before the faults, {BACK_MAX:?} after them"
            ));
        }
    }
}

/// Nothing changes the ledger from now on.
async fn stop_servers(stage: &mut Stage) -> Result<(), String> {
    for number in 0..stage.servers.len() {
        let Some(process) = stage.take_server(number) else { continue };
        process.signal(rustix::process::Signal::TERM);
        let ended = timeout(STOP_MAX, process.ended()).await;
        let ended = ended.map_err(|_| format!("liveness: server {number} does not stop"))?;
        if !ended.success() {
            return Err(format!("server {number} ended with {ended}"));
        }
    }
    Ok(())
}

/// Of a superuser, on the cluster that takes writes, whichever it is.
fn looks_url(stage: &Stage) -> String {
    let url = |cluster: &TestCluster| cluster.url("postgres", "giro");
    match &stage.clusters[..] {
        [only] => url(only),
        [first, second] => {
            let both = crate::standby::both(&url(first), &url(second));
            format!("{both}?target_session_attrs=read-write")
        }
        _ => unreachable!("one cluster or two"),
    }
}

/// Without what an older run has left, whose directory it is then.
fn fresh(directory: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", directory.display());
    if !directory.join(summary::FILE).exists() && !directory.join(facts::FILE).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match path.is_dir() {
            true => fs::remove_dir_all(&path).map_err(failed)?,
            false if path.ends_with(lock::FILE) => {}
            false => fs::remove_file(&path).map_err(failed)?,
        }
    }
    Ok(())
}

/// What servers and PostgreSQL have logged, for whoever has to find out what went wrong.
fn keep_logs(directory: &Path, stage: &Stage) {
    for (server, place) in stage.servers.iter().enumerate() {
        for (generation, log) in place.logs.iter().enumerate() {
            let text = log.lock().map(|log| log.clone()).unwrap_or_default();
            let _ = fs::write(directory.join(format!("server-{server}.{generation}.log")), text);
        }
    }
    for (number, cluster) in stage.clusters.iter().enumerate() {
        let _ = fs::copy(cluster.log_file(), directory.join(format!("postgres-{number}.log")));
    }
}

fn keep_data(plan: &RunPlan, stage: &mut Stage) -> Result<(), String> {
    if !plan.keep {
        return Ok(());
    }
    let number = stage.primary_number();
    let cluster = &mut stage.clusters[number];
    if !cluster.is_up() {
        return Err("the data of PostgreSQL is not kept: it is down".into());
    }
    let from = cluster.data_dir().to_owned();
    tokio::task::block_in_place(|| cluster.kill());
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(plan.out.join(facts::DATA))
        .status();
    match copied {
        Ok(status) if status.success() => Ok(()),
        failed => Err(format!("the data of PostgreSQL is not kept: cp: {failed:?}")),
    }
}

fn write_up(
    directory: &Path,
    summary: &Summary,
    timeline: &Timeline,
    verdict: Option<&Verdict>,
) -> Result<(), String> {
    let write = |name: &str, text: String| {
        fs::write(directory.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    if let Some(verdict) = verdict {
        write("verdict.json", json(verdict)?)?;
    }
    report::write(directory, summary, timeline, verdict)?;
    // Whoever finds it finds the rest as well.
    summary::write(&directory.join(summary::FILE), summary)?;
    say(directory, summary, verdict);
    Ok(())
}

fn say(directory: &Path, summary: &Summary, verdict: Option<&Verdict>) {
    if let Some(verdict) = verdict {
        println!("{verdict}");
    }
    if let Some(failure) = &summary.failure {
        println!("{failure}");
    }
    for missed in &summary.gates_missed {
        println!("too few: {missed}");
    }
    let Summary { seed, cycles, acknowledged, seconds, .. } = summary;
    println!(
        "Storm {seed}: {}. {cycles} crashes and cuts, {acknowledged} transfers acknowledged, {seconds:.0} s; {}",
        report::word(summary),
        directory.join(report::REPORT).display()
    );
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
    format!("the storm broke off: {text}")
}
