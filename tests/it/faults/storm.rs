//! Clients that try again at once, and all together, when the database has stood still.

use super::private;
use giro_tests::load::{Arrivals, Load, Plan};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goodput_comes_back_by_itself_after_a_stall_under_naive_retries() {
    const RATE: u64 = 300;
    let (cluster, server) = private().await;
    let plan =
        Plan { arrivals: Arrivals::PerSecond(RATE), deadline: Duration::from_secs(1), attempts: 3 };
    let load = Load::start(server.client, plan).await;
    let most = RATE * 95 / 100;
    load.reaches(most).await;
    cluster.freeze().unwrap();
    let frozen = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.thaw().unwrap();
    let thawed = Instant::now();
    let back = load.reaches(most).await;
    println!("95 % of the goodput is back after {back:?}");
    assert!(back < Duration::from_secs(10), "{back:?}");
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    history.assert_every_wait_ended(plan.deadline);
    let meanwhile = history.decided(frozen + Duration::from_secs(1), thawed);
    assert_eq!(meanwhile, 0, "it did not stand still");
    let retries = history.answers.len() - settled.all();
    assert!(retries > RATE as usize, "{retries} naive retries are no storm");
    server.stop().await;
}
