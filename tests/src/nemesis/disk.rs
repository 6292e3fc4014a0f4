//! Disks that are slow, fail, or are full.

use super::Wound;
use super::moments::Counting;
use super::processes::children;
use super::tracer::{Follow, Tracer};
use crate::chaos::witness::PATIENCE;
use crate::chaos::{LogFrom, Stage, Witness};
use crate::cluster::TestCluster;
use crate::database::connect;
use fastrand::Rng;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;

/// A commit of its own, whose flush nobody else does.
const COMMIT: &str = "SELECT pg_logical_emit_message(true, 'giro-chaos', 'a commit')";

/// Every flush of the write-ahead log takes so much longer, those of processes to come too. Returns when
/// one did. (Not those of tables: a recovery would flush every file of them for minutes.)
pub async fn slow(cluster: &TestCluster, delay: Duration) -> Tracer {
    let mut witness = Witness::of(cluster);
    let call = flush_call(&mut witness).await;
    let injection = format!("{call}:delay_enter={}", delay.as_micros());
    let tracer = loop {
        let tracer = Tracer::attach(&family(cluster), Follow::Children, &injection).await;
        // A process that was started between the look and the attachment is one more round.
        if family(cluster).iter().all(|process| tracer.traces(*process)) {
            break tracer;
        }
    };
    witness.order(COMMIT).await;
    assert!(!tracer.tampered().is_empty(), "no flush was delayed");
    tracer
}

/// Fails the next flush of the write-ahead log and waits until PostgreSQL has panicked for it. It recovers
/// by itself. Returns the call that failed and PostgreSQL's own words.
pub async fn fail(cluster: &TestCluster) -> String {
    let mut witness = Witness::of(cluster);
    let injection = format!("{}:error=EIO:when=1", flush_call(&mut witness).await);
    let log = LogFrom::now(cluster);
    let started = Instant::now();
    // Only those that are there: those that recover would fail as well.
    let tracer = Tracer::attach(&children(cluster.pid() as i32), Follow::Nobody, &injection).await;
    while log.lines("PANIC:").is_empty() {
        assert!(started.elapsed() < PATIENCE, "no panic: {:?}", log.lines(""));
        let _ = witness.look(COMMIT).await;
    }
    let failed = tracer.detach();
    assert!(!failed.is_empty(), "PostgreSQL has panicked for something else");
    format!("{}; {}", failed[0], log.lines("PANIC:")[0])
}

/// Fills the disk of the write-ahead log and waits until PostgreSQL has ended, because it cannot recover
/// without room. Returns what the disk and PostgreSQL say.
pub async fn fill_wal_of(cluster: &mut TestCluster) -> String {
    let (log, started) = (LogFrom::now(cluster), Instant::now());
    let mut full = String::new();
    let mut witness = Witness::of(cluster);
    while !cluster.has_exited() {
        assert!(started.elapsed() < PATIENCE, "it goes on: {:?}", log.lines(""));
        let disk = cluster.around().wal_disk.as_ref().expect("the log has a disk of its own");
        full = disk.fill();
        // A segment that is there already needs no room.
        for sql in ["SELECT pg_switch_wal()", COMMIT] {
            let _ = witness.look(sql).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
    let said = ["PANIC:", "startup process failure"].map(|text| log.lines(text).join("; "));
    assert!(said[0].contains("No space left on device"), "{:?}", log.lines(""));
    format!("{full}; {}", said.join("; "))
}

/// Fills the disk of a database and waits until PostgreSQL refuses to store more. Returns what the disk and
/// PostgreSQL say.
pub async fn fill_data_of(cluster: &TestCluster, database: &str) -> String {
    let disk = cluster.around().data_disk.as_ref().expect("the data has a disk of its own");
    // A new session may have to write a cache of the catalog first, which a full disk refuses.
    let session = connect(&cluster.url("postgres", database)).await;
    let full = disk.fill();
    let more = "CREATE TEMP TABLE more AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)";
    let error = session.batch_execute(more).await.expect_err("the disk is full");
    assert_eq!(error.code(), Some(&SqlState::DISK_FULL), "{error}");
    let said = error.as_db_error().expect("PostgreSQL says it").message().to_owned();
    format!("{full}; {said}")
}

pub(super) async fn slow_fsync(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let tracer = slow(stage.primary(), Duration::from_millis(300)).await;
    Wound::healed_by(|_| {
        Box::pin(async move {
            let delayed = tracer.detach();
            format!("{} flushes took 0.3 s longer: {}", delayed.len(), delayed[0])
        })
    })
}

pub(super) async fn fail_fsync(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let counting = Counting::cut_off(stage).await;
    let evidence = fail(stage.primary()).await;
    let number = stage.primary_number();
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            accepts(&stage.clusters[number]).await;
            counting.hit(stage, evidence).await
        })
    })
}

pub(super) async fn fill_data(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let number = stage.primary_number();
    let evidence = fill_data_of(&stage.clusters[number], "giro").await;
    Wound::healed_by(move |stage| {
        Box::pin(async move {
            let disk = stage.clusters[number].around().data_disk.as_ref();
            disk.expect("the data has a disk of its own").free();
            evidence
        })
    })
}

pub(super) async fn fill_wal(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let number = stage.primary_number();
    let counting = Counting::cut_off(stage).await;
    let evidence = fill_wal_of(&mut stage.clusters[number]).await;
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            let cluster = &mut stage.clusters[number];
            // Whoever has started it meanwhile has made room as well.
            if cluster.has_exited() {
                cluster.kill();
                block_in_place(|| cluster.start_again());
            }
            accepts(cluster).await;
            counting.hit(stage, evidence).await
        })
    })
}

/// Waits until PostgreSQL has recovered. Where another fault keeps it down, its heal does that.
async fn accepts(cluster: &TestCluster) {
    if cluster.is_up() {
        Witness::of(cluster).order("SELECT 1").await;
    }
}

/// The system call that flushes the write-ahead log.
async fn flush_call(witness: &mut Witness) -> String {
    let method: String = witness.see("a setting", "SHOW wal_sync_method").await.get(0);
    assert!(matches!(method.as_str(), "fdatasync" | "fsync"), "{method} is no call of its own");
    method
}

/// The first process of PostgreSQL and all that it has started.
fn family(cluster: &TestCluster) -> Vec<i32> {
    let postmaster = cluster.pid() as i32;
    std::iter::once(postmaster).chain(children(postmaster)).collect()
}
