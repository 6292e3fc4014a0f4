//! Each fault of a storm, once by itself and some two at a time: it happens, it is healed, the servers serve
//! again, and every answer was true.

use fastrand::Rng;
use giro_tests::chaos::{Stage, StagePlan, Target};
use giro_tests::load::{Load, Plan};
use giro_tests::nemesis::Fault;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Faults by themselves or together, one after another on one stage under load; each evidence is looked at.
async fn storm(standby: bool, periods: &[(&[Fault], &str)]) {
    let plan = StagePlan {
        giro: env!("CARGO_BIN_EXE_giro-under-test").into(),
        servers: 2,
        standby,
        small_disks: false,
        clocks: false,
        postgres: Vec::new(),
        environment: Vec::new(),
        mutant: None,
    };
    let mut stage = Stage::start(plan).await;
    let (load, mut turning) = load_on_all(stage.targets()).await;
    let mut random = Rng::with_seed(1);
    for (faults, shown) in periods {
        let started = Instant::now();
        let mut wounds = Vec::new();
        for fault in *faults {
            wounds.push(fault.inject(&mut stage, &mut random).await);
        }
        sleep(Duration::from_millis(200)).await;
        let mut evidence = Vec::new();
        for (fault, wound) in faults.iter().zip(wounds).rev() {
            evidence.push(wound.heal(&mut stage).await.evidence);
            println!("{fault:?} after {:.1?}: {}", started.elapsed(), evidence.join("; "));
        }
        assert!(evidence.join("; ").contains(shown), "{faults:?}: {evidence:?}");
        stage.until_ready().await;
        load.decides(20).await;
        println!("serves again after {:.1?}", started.elapsed());
    }
    turning.shutdown().await;
    let client = stage.targets().borrow()[0].client;
    let load = Arc::into_inner(load).expect("nobody else has it");
    let (_, settled) = load.assert_truth(&stage.database, client).await;
    assert!(settled.applied > 20 * periods.len() / 2, "{settled:?}");
}

/// A load on one server after another, for a moment each, wherever their processes are.
async fn load_on_all(targets: watch::Receiver<Vec<Target>>) -> (Arc<Load>, JoinSet<()>) {
    let client = targets.borrow()[0].client;
    let plan = Plan::patient(8).within(Duration::from_secs(5));
    let load = Arc::new(Load::start(client, plan).await);
    let mut turning = JoinSet::new();
    let turned = load.clone();
    turning.spawn(async move {
        for turn in 0.. {
            sleep(Duration::from_millis(20)).await;
            let client = targets.borrow()[turn % targets.borrow().len()].client;
            turned.turn_to(client);
        }
    });
    (load, turning)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_end_or_halt_are_seen_to_do_so_and_serve_again() {
    use Fault::*;
    storm(
        false,
        &[
            (&[KillPostgres], "was not properly shut down"),
            (&[KillBackend], "was terminated by signal 9"),
            (&[KillServer], "signal: 9 (SIGKILL)"),
            (&[RestartServer], "drained: every request was answered"),
            (&[HaltBackend], "was in state T"),
            (&[HaltPostgres], "a statement was not answered"),
            (&[HaltServer], "/livez was not answered"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_links_and_locks_are_seen_to_break_and_everything_goes_on() {
    use Fault::*;
    storm(
        false,
        &[
            (&[TerminateSessions], "due to administrator command"),
            (&[ExhaustConnections], "refused: 53300"),
            (&[CutBeforeSync], "cut-before-sync happened to"),
            (&[CutAfterSync], "cut-after-sync happened to"),
            (&[CutBeforeReady], "cut-before-ready happened to"),
            (&[HalfClose], "half-close happened to"),
            (&[Reset], "reset happened to"),
            (&[BlackHole], "met a black hole"),
            (&[Delay], "were late by"),
            (&[Slice], "came byte by byte"),
            (&[GarbleReply], "garble-reply happened to"),
            (&[ShiftReply], "shift-reply happened to"),
            (&[LockAccounts], "waited for Lock"),
            (&[LockTable], "held giro.account_state"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_stands_still_is_not_waited_for_and_takes_over_and_back() {
    use Fault::*;
    storm(
        true,
        &[
            (&[HaltStandby], "waited for SyncRep"),
            (&[CancelStandbyWait], "canceling wait for synchronous replication"),
            (&[PromoteStandby], "standby is sync"),
            (&[KillPostgres], "was not properly shut down"),
            (&[PromoteStandby], "from timeline 00000002 to 00000003"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_faults_happen_at_once_and_both_are_healed() {
    use Fault::*;
    storm(
        true,
        &[
            (&[BlackHole, KillPostgres], "met a black hole"),
            (&[TerminateSessions, LockAccounts], "waited for Lock"),
            (&[KillServer, KillServer], "signal: 9 (SIGKILL)"),
            (&[KillServer, RestartServer], "on SIGTERM"),
            (&[HaltBackend, KillBackend], "was terminated by signal 9"),
            (&[LockTable, PromoteStandby], "held giro.account_state"),
            (&[GarbleReply, HaltPostgres], "garble-reply happened to"),
            (&[ExhaustConnections, KillServer], "refused: 53300"),
            (&[HaltStandby, KillPostgres], "waited for SyncRep"),
            (&[HaltPostgres, HaltServer], "a statement was not answered"),
        ],
    )
    .await;
}
