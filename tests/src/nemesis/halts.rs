//! Processes that stand still and go on.

use super::moments::{self, Counting};
use super::processes::{is_halted, state};
use super::{Halted, Healed, Wound};
use crate::chaos::{Stage, Witness};
use fastrand::Rng;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How long the system may take to halt a process that got the signal.
const SOON: Duration = Duration::from_secs(10);
/// How long to look for the session of a backend that is halted.
const LOOK: Duration = Duration::from_secs(2);
/// In this time a process that is not halted would have answered.
const UNANSWERED: Duration = Duration::from_millis(200);

pub(super) async fn halt_backend(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let counting = Counting::given_up(stage).await;
    let (backend, halted, applied) = loop {
        let applying = moments::backend(&mut witness, "true").await;
        let lane = "SELECT pid FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name LIKE 'giro lane%'";
        let backend = match applying {
            Some(backend) => backend,
            None => witness.see("a lane's session", lane).await.get(0),
        };
        if let Some(halted) = Halted::try_new(backend) {
            break (backend, halted, applying);
        }
    };
    stands_still(backend as u32).await;
    let since = Instant::now();
    let still = format!(
        "SELECT application_name || ', ' || state FROM pg_stat_activity WHERE pid = {backend}"
    );
    // Halted with a lock of PostgreSQL's own, it lets nobody look.
    let session = witness.glimpse(&still, LOOK).await;
    let session = session.map_or("nobody could look at it".into(), |row| row.get::<_, String>(0));
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            let stands = is_halted(backend as u32);
            let given_up = counting.risen(stage, |_| true).await;
            drop(halted);
            let (stood, moment) = (since.elapsed(), moments::words(applied));
            let evidence = format!(
                "backend {backend} ({session}) was in state T for {stood:.1?}, halted {moment}; {given_up} \
                 sessions were given up meanwhile"
            );
            let zombie = stands && applied.is_some() && given_up > 0.0;
            Healed { evidence, hit: false, zombie }
        })
    })
}

pub(super) async fn halt_postgres(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let number = stage.primary_number();
    let mut witness = Witness::of(stage.primary());
    let moment = moments::words(moments::backend(&mut witness, "true").await);
    stage.primary().freeze().unwrap_or_else(|error| panic!("{error}"));
    let postmaster = stage.primary().pid();
    stands_still(postmaster).await;
    let since = Instant::now();
    let answered = timeout(UNANSWERED, witness.look("SELECT 1")).await;
    assert!(answered.is_err(), "it answers although it is halted");
    Wound::healed_by(move |stage| {
        Box::pin(async move {
            let stood = since.elapsed();
            let cluster = &stage.clusters[number];
            if cluster.is_up() {
                cluster.thaw().unwrap_or_else(|error| panic!("{error}"));
            }
            format!(
                "postmaster {postmaster} and all its processes were in state T for {stood:.1?}, and a \
                 statement was not answered; halted {moment}"
            )
        })
    })
}

pub(super) async fn halt_server(stage: &mut Stage, random: &mut Rng) -> Wound {
    let number = moments::server(stage, random).await;
    let server = &stage.servers[number];
    let batches = moments::in_flight(server).await;
    let process = server.process.as_ref().expect("a server that runs");
    let (id, admin) = (process.id(), process.admin);
    let halted = Halted::new(id as i32);
    stands_still(id).await;
    let since = Instant::now();
    let asked = admin.send(hyper::Method::GET, "/livez", &[], "");
    assert!(timeout(UNANSWERED, asked).await.is_err(), "it answers although it is halted");
    Wound::healed_by(move |_| {
        Box::pin(async move {
            drop(halted);
            let stood = since.elapsed();
            format!(
                "server {number} (process {id}) was in state T for {stood:.1?} with {batches} batches in \
                 flight, and /livez was not answered"
            )
        })
    })
}

/// Waits until the system shows a process as halted.
async fn stands_still(process: u32) {
    let started = Instant::now();
    while !is_halted(process) {
        let state = state(process);
        assert!(started.elapsed() < SOON, "process {process} is in state {state:?} and not in T");
        sleep(Duration::from_millis(2)).await;
    }
}
