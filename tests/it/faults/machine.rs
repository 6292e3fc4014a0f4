//! The same faults as the storm injects them: on a stage, with evidence, and two of them at a time.

use giro_tests::chaos::{Stage, StagePlan};
use giro_tests::load::{Load, Plan};
use giro_tests::needs;
use giro_tests::nemesis::Fault;
use std::time::Duration;

const FAULTS: [Fault; 9] = [
    Fault::SlowFsync,
    Fault::FailFsync,
    Fault::FullData,
    Fault::FullWal,
    Fault::ShiftClock,
    Fault::SqueezeMemory,
    Fault::SqueezeDescriptors,
    Fault::OldSnapshot,
    Fault::FreezeVacuum,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machines_faults_happen_to_a_stage_and_heal() {
    let all: Vec<_> = FAULTS.iter().flat_map(|fault| fault.needs().iter().copied()).collect();
    if !needs::met(&all) {
        return;
    }
    let mut stage = Stage::start(StagePlan {
        giro: env!("CARGO_BIN_EXE_giro-under-test").into(),
        servers: 1,
        standby: false,
        small_disks: true,
        clocks: true,
        postgres: Vec::new(),
        environment: Vec::new(),
        mutant: None,
    })
    .await;
    let client = stage.targets().borrow()[0].client;
    let load = Load::start(client, Plan::patient(10).within(Duration::from_secs(5))).await;
    let mut random = fastrand::Rng::with_seed(5);
    for fault in FAULTS {
        load.decides(20).await;
        let wound = fault.inject(&mut stage, &mut random).await;
        println!("{fault:?}: {}", wound.heal(&mut stage).await.evidence);
    }
    load.decides(20).await;
    // The first heals last, when the second has already healed what was its own.
    for (first, second) in [(Fault::SlowFsync, Fault::FullWal)] {
        let (one, two) = (
            first.inject(&mut stage, &mut random).await,
            second.inject(&mut stage, &mut random).await,
        );
        println!("{second:?} in {first:?}: {}", two.heal(&mut stage).await.evidence);
        println!("{first:?}: {}", one.heal(&mut stage).await.evidence);
        load.decides(20).await;
    }
    stage.until_ready().await;
    let (history, settled) = load.assert_truth(&stage.database, client).await;
    history.assert_nobody_was_cut_off();
    assert!(settled.applied > 100, "{settled:?}");
}
