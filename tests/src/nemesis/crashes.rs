//! Processes that end.

use super::Wound;
use super::moments::{self, Counting};
use super::processes::{state, try_signal};
use crate::chaos::{LogFrom, Stage, Witness};
use crate::{ServerProcess, eventually};
use fastrand::Rng;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::timeout;

/// How long a server may take to end by itself: its drain time-out, and what a busy machine adds.
const DRAIN: Duration = Duration::from_secs(30);

pub(super) async fn kill_postgres(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let number = stage.primary_number();
    let mut witness = Witness::of(stage.primary());
    let counting = Counting::cut_off(stage).await;
    let moment = moments::words(moments::backend(&mut witness, "true").await);
    let postmaster = stage.primary().pid();
    block_in_place(|| stage.clusters[number].kill());
    assert_eq!(state(postmaster), None, "the postmaster is still there");
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            let log = LogFrom::now(&stage.clusters[number]);
            block_in_place(|| stage.clusters[number].start_again());
            let line = log.line("was not properly shut down").await;
            let evidence = format!(
                "postmaster {postmaster} and all its processes are gone, killed {moment}; {line}"
            );
            counting.hit(stage, evidence).await
        })
    })
}

pub(super) async fn kill_backend(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let log = LogFrom::now(stage.primary());
    let counting = Counting::cut_off(stage).await;
    let (backend, applied) = loop {
        let applying = moments::backend(&mut witness, "true").await;
        let backend = match applying {
            Some(backend) => backend,
            None => any_backend(&mut witness).await,
        };
        // It may just have ended by itself.
        if try_signal(backend, Signal::KILL) {
            break (backend, applying);
        }
    };
    // "server process", and from PostgreSQL 18 on what kind of one.
    let killed = format!("(PID {backend}) was terminated by signal 9");
    let line = log.line(&killed).await;
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            witness.order("SELECT 1").await;
            let recovered = log.line("all server processes terminated; reinitializing").await;
            let evidence = format!("killed {}; {line}; {recovered}", moments::words(applied));
            counting.hit(stage, evidence).await
        })
    })
}

/// A backend of a server, whatever it does.
async fn any_backend(witness: &mut Witness) -> i32 {
    let find = "SELECT pid FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE 'giro%'
                 ORDER BY application_name LIKE 'giro lane%' DESC LIMIT 1";
    witness.see("a session of a server", find).await.get(0)
}

pub(super) async fn kill_server(stage: &mut Stage, random: &mut Rng) -> Wound {
    let number = moments::server(stage, random).await;
    let batches = moments::in_flight(&stage.servers[number]).await;
    let (name, process) = take(stage, number);
    process.signal(Signal::KILL);
    let status = process.ended().await;
    assert_eq!(status.signal(), Some(9), "it ended otherwise: {status}");
    let evidence = format!("{name} had {batches} batches in flight and ended by {status}");
    started_again(number, evidence)
}

pub(super) async fn restart_server(stage: &mut Stage, random: &mut Rng) -> Wound {
    let number = moments::server(stage, random).await;
    let batches = moments::in_flight(&stage.servers[number]).await;
    let (name, process) = take(stage, number);
    let log = stage.servers[number].logs.last().expect("its log").clone();
    // Of two faults, the other may have halted it.
    process.signal(Signal::CONT);
    process.signal(Signal::TERM);
    let status = timeout(DRAIN, process.ended()).await;
    let status = status.unwrap_or_else(|_| panic!("{name} has not ended {DRAIN:?} after SIGTERM"));
    let said = drained(status, &log).await;
    let evidence = format!(
        "{name} had {batches} batches in flight, logged {said:?} on SIGTERM and ended with {status}"
    );
    started_again(number, evidence)
}

/// What a server said about its drain; only one that was not drained may end with a failure.
async fn drained(status: ExitStatus, log: &Mutex<String>) -> &'static str {
    let expected = match status.code() {
        Some(0) => "drained: every request was answered",
        Some(1) => "not drained within server.drain_timeout",
        _ => panic!("it ended otherwise: {status}"),
    };
    // Its last lines may still be on their way.
    eventually(expected, async || {
        let log = log.lock().expect("the log");
        log.contains("SIGTERM: draining") && log.contains(expected)
    })
    .await;
    expected
}

/// Its process, and who it is.
fn take(stage: &mut Stage, number: usize) -> (String, ServerProcess) {
    let generation = stage.servers[number].generation;
    let process = stage.take_server(number).expect("a server that runs");
    (format!("server {number} (generation {generation}, process {})", process.id()), process)
}

fn started_again(number: usize, evidence: String) -> Wound {
    Wound::healed_by(move |stage| {
        Box::pin(async move {
            // Of two faults that killed it, one has started it already.
            if stage.servers[number].process.is_none() {
                stage.start_server(number).await;
            }
            let process = stage.servers[number].process.as_ref().expect("it runs").id();
            format!("{evidence}; process {process} serves in its place")
        })
    })
}
