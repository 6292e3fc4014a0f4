//! The synchronous standby: it stands still, is not waited for, or takes over.

use super::moments::{self, Counting};
use super::processes::is_halted;
use super::{Healed, Wound};
use crate::chaos::witness::PATIENCE;
use crate::chaos::{LogFrom, Stage, StageServer, Witness};
use crate::cluster::TestCluster;
use fastrand::Rng;
use giro_ledger::Connector;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

/// A commit that waits for the standby.
const WAITS: &str = "wait_event = 'SyncRep'";

/// How long a server may take to find a primary that nothing keeps from it.
const LANE: Duration = Duration::from_secs(10);

/// The timeline that a primary writes.
const TIMELINE: &str = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";

pub(super) async fn halt(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let number = freeze(stage);
    let since = Instant::now();
    let waits = waiting(&mut witness).await;
    Wound::healed_by(move |stage| {
        Box::pin(async move {
            thaw(&stage.clusters[number]);
            let stood = since.elapsed();
            format!(
                "the standby was in state T for {stood:.1?}; backend {waits} waited for SyncRep"
            )
        })
    })
}

pub(super) async fn cancel_wait(stage: &mut Stage, random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let log = Arc::new(LogFrom::now(stage.primary()));
    let number = freeze(stage);
    let mut backend = waiting(&mut witness).await;
    let cancelled = "canceling wait for synchronous replication due to user request";
    let started = Instant::now();
    // The standby may have answered in the last moment; then the next one waits.
    while log.lines(cancelled).is_empty() {
        assert!(started.elapsed() < PATIENCE, "no wait was cancelled");
        witness.look(&format!("SELECT pg_cancel_backend({backend})")).await;
        sleep(Duration::from_millis(50)).await;
        backend = moments::backend(&mut witness, WAITS).await.unwrap_or(backend);
    }
    let pause = Duration::from_millis(random.u64(100..500));
    let mut repeating = JoinSet::new();
    repeating.spawn(async move {
        let all = format!(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
              WHERE application_name LIKE 'giro%' AND {WAITS}"
        );
        loop {
            sleep(pause).await;
            witness.look(&all).await;
        }
    });
    Wound::healed_by(move |stage| {
        Box::pin(async move {
            repeating.shutdown().await;
            thaw(&stage.clusters[number]);
            let lines = log.lines(cancelled);
            format!("{} waits were cancelled, the first: {}", lines.len(), lines[0])
        })
    })
}

/// Halts the standby; which cluster it is.
fn freeze(stage: &Stage) -> usize {
    let number = stage.standby_number().expect("a standby");
    let standby = &stage.clusters[number];
    standby.freeze().unwrap_or_else(|error| panic!("{error}"));
    assert!(is_halted(standby.pid()), "the standby's postmaster is not in state T");
    number
}

fn thaw(standby: &TestCluster) {
    standby.thaw().unwrap_or_else(|error| panic!("{error}"));
}

/// A backend whose commit waits for the standby.
async fn waiting(witness: &mut Witness) -> i32 {
    let find = super::processes::find_applying(WAITS);
    witness.see("a commit that waits for the standby", &find).await.get(0)
}

pub(super) async fn promote(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let old = stage.primary_number();
    let mut witness = Witness::of(stage.primary());
    // What readers have seen is on the standby: after a crash, it is not waited for.
    stage.follows(&mut witness).await;
    let before: String = witness.see("its timeline", TIMELINE).await.get(0);
    let counting = Counting::cut_off(stage).await;
    let moment = moments::words(moments::backend(&mut witness, "true").await);
    block_in_place(|| stage.clusters[old].kill());
    stage.promote();
    let after = Witness::of(stage.primary()).see("its timeline", TIMELINE).await;
    let after: String = after.get(0);
    assert!(after > before, "promoted, and on timeline {after} as before");
    let new = stage.primary_number();
    let promoted = format!(
        "cluster {old} was killed {moment}, and cluster {new} promoted from timeline {before} to {after}"
    );
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            // Those of the promotion: a server loses sessions also by what follows.
            let healed = counting.hit(stage, promoted).await;
            let refused = comes_back(stage, old, &after).await;
            let follows = stage.rebuild().await;
            let evidence = healed.evidence;
            let evidence =
                format!("{evidence}; {refused}; then cluster {old} was rebuilt: {follows}");
            Healed { evidence, ..healed }
        })
    })
}

/// Starts the old primary, lets no server reach the new one, which writes this timeline, until it has
/// refused the old, and takes the old one down again.
async fn comes_back(stage: &mut Stage, old: usize, timeline: &str) -> String {
    // One that has not seen the new primary would take the old one for it.
    let mut knowing = Vec::new();
    for (number, server) in stage.servers.iter().enumerate() {
        if server.is_awake() && has_lane(server).await {
            knowing.push(number);
        }
    }
    block_in_place(|| stage.clusters[old].start_again());
    let had = Witness::of(&stage.clusters[old]).see("its timeline", TIMELINE).await;
    let mut said = vec![format!("it came back on timeline {}", had.get::<_, String>(0))];
    let mut witness = Witness::of(stage.primary());
    for number in knowing {
        let refusals = refusals(stage, &mut witness, number).await;
        said.push(format!("server {number} refused it {refusals} times (lower_timeline)"));
    }
    said.push(newcomer(stage, timeline).await);
    block_in_place(|| stage.clusters[old].kill());
    said.join(", ")
}

/// Whether a server gets a session on the only primary that there is; another fault may be in its way.
async fn has_lane(server: &StageServer) -> bool {
    let started = Instant::now();
    while server.metric("giro_lanes_connected", "").await.unwrap_or(0.0) < 1.0 {
        if started.elapsed() > LANE {
            return false;
        }
        sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Ends a server's sessions and lets it reach only the old primary, until it has refused that one; how
/// often it did.
async fn refusals(stage: &Stage, witness: &mut Witness, number: usize) -> f64 {
    let server = &stage.servers[number];
    let proxy = &server.proxies[stage.primary_number()];
    let before = lower_timelines(server).await;
    proxy.refuse(true);
    let started = Instant::now();
    let after = loop {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name LIKE 'giro%'";
        witness.look(end).await;
        sleep(Duration::from_millis(300)).await;
        let after = lower_timelines(server).await;
        if after > before {
            break after;
        }
        assert!(started.elapsed() < PATIENCE, "server {number} has not refused the old primary");
    };
    proxy.refuse(false);
    after - before
}

async fn lower_timelines(server: &StageServer) -> f64 {
    let refused = server.metric("giro_connect_failures_total", "lower_timeline").await;
    refused.unwrap_or(0.0)
}

/// What a server that knows nothing yet chooses between the two.
async fn newcomer(stage: &Stage, timeline: &str) -> String {
    let second = Duration::from_secs(1);
    let connector = Connector::new(&stage.database.server_url, 4 * second, 2 * second, second);
    let connector = connector.expect("a URL");
    let started = Instant::now();
    loop {
        match connector.probe().await {
            Ok(peer) => {
                let chosen = peer.lineage;
                assert_eq!(
                    format!("{:08X}", chosen.timeline),
                    timeline,
                    "the old primary is chosen"
                );
                return format!("and a new server chooses {chosen}");
            }
            Err(error) => assert!(started.elapsed() < PATIENCE, "no primary: {error}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
