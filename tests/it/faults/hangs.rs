//! A database that stands still, and a network that loses everything: neither ends a session by itself.

use super::{assert_sheds_at_once, private};
use giro_server::DatabaseUrl;
use giro_tests::load::{Load, Plan, Told};
use giro_tests::nemesis::applying;
use giro_tests::{Proxy, Target, TestDatabase, TestServer};
use std::time::{Duration, Instant};

/// The watchdog's time, a failed attempt to connect, and patience with a busy machine.
const NOTICED: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_all_of_postgresql_stands_still_work_is_shed_at_once_and_then_goes_on() {
    let (cluster, server) = private().await;
    let load = Load::start(server.client, Plan::patient(20).within(DEADLINE)).await;
    load.decides(50).await;
    applying(&server.database, "true").await;
    cluster.freeze().unwrap();
    let frozen = Instant::now();
    assert_sheds_at_once(&server, "breaker_open").await;
    println!("sheds at once after {:?}", frozen.elapsed());
    assert!(frozen.elapsed() < NOTICED, "{:?}", frozen.elapsed());
    cluster.thaw().unwrap();
    heals(load, &server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_network_loses_everything_work_is_shed_at_once_and_then_goes_on() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::start(&database.server_url, Target::LANES).await;
    let url = proxy.url().to_owned();
    let server =
        TestServer::on(database, |config| config.database.url = Some(DatabaseUrl::from(url))).await;
    let load = Load::start(server.client, Plan::patient(20).within(DEADLINE)).await;
    load.decides(50).await;
    proxy.black_hole();
    let lost = Instant::now();
    assert_sheds_at_once(&server, "breaker_open").await;
    println!("sheds at once after {:?}", lost.elapsed());
    assert!(lost.elapsed() < NOTICED, "{:?}", lost.elapsed());
    assert!(proxy.counts().held > 0, "nothing was under way");
    // What was held back arrives now, long after it was given up.
    proxy.heal();
    heals(load, &server).await;
    assert_eq!(proxy.counts().cancels, 0, "a batch is never cancelled");
}

/// Goodput comes back without help, and all that was said is true.
async fn heals(load: Load, server: &TestServer) {
    let healed = Instant::now();
    load.decides(100).await;
    println!("goes on after {:?}", healed.elapsed());
    assert!(healed.elapsed() < Duration::from_secs(10), "{:?}", healed.elapsed());
    server.until_ready().await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    history.assert_every_wait_ended(DEADLINE);
    assert!(history.count(|told| *told == Told::Unknown) > 0, "nothing was in flight");
    assert!(history.shed().contains_key("breaker_open"), "{:?}", history.shed());
    assert!(settled.applied > 100, "{settled:?}");
}
