//! Disks that are slow, fail, or are full.

use super::{assert_sheds_at_once, patient, transfer};
use giro_server::Config;
use giro_tests::cluster::{self, Around, TestCluster};
use giro_tests::load::{Arrivals, BESIDE, History, Load, Plan, Settled, Told};
use giro_tests::needs::{self, Need};
use giro_tests::nemesis::{SmallDisk, disk};
use giro_tests::{TestDatabase, TestServer, eventually};
use std::time::Duration;

const UNKNOWN: &str = r#"giro_unknown_total{cause="session",function="apply_transfers"}"#;
const WATCHDOG: &str = r#"giro_watchdog_total{batcher="transfers"}"#;

async fn database_of(cluster: &TestCluster) -> TestDatabase {
    TestDatabase::at(&|user, name| cluster.url(user, name)).await
}

/// So many transfers a second, whatever the answers.
fn arriving(rate: u64) -> Plan {
    let deadline = Duration::from_secs(5);
    Plan { arrivals: Arrivals::PerSecond(rate), deadline, attempts: 1 }
}

/// It takes what comes again, without anybody's help, and all that was said is true.
async fn heals(load: Load, server: &TestServer) -> (History, Settled) {
    load.decides(100).await;
    server.until_ready().await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    (history, settled)
}

/// Transfers in a usual batch so far, and how many batches there were.
async fn batches(server: &TestServer) -> (f64, f64) {
    let metric = async |part: &str| {
        server.metric(&format!(r#"giro_batch_items_{part}{{batcher="transfers"}}"#)).await
    };
    (metric("sum").await, metric("count").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_is_slow_batches_grow_and_what_would_wait_is_refused() {
    if !needs::met(&[Need::Strace]) {
        return;
    }
    const DELAY: Duration = Duration::from_millis(300);
    let cluster = cluster::start(&[]);
    // Two lanes of 2 batches in flight then do some hundred a second at most.
    let small = |config: &mut Config| config.batch.max_items = 25;
    let server = TestServer::on(database_of(&cluster).await, small).await;
    let load = Load::start(server.client, arriving(400)).await;
    load.decides(200).await;
    let (items, count) = batches(&server).await;
    let before = items / count;

    let tracer = disk::slow(&cluster, DELAY).await;
    let (items, count) = batches(&server).await;
    let transfer = transfer(BESIDE);
    eventually("a transfer is applied", async || {
        let sent = tokio::time::Instant::now();
        let reply = server.client.post("/transfer", &transfer).await;
        assert!(reply.status != 200 || sent.elapsed() >= DELAY, "{:?}", sent.elapsed());
        reply.status == 200
    })
    .await;
    load.decides(300).await;
    let (items_then, count_then) = batches(&server).await;
    let meanwhile = (items_then - items) / (count_then - count);
    println!("{before:.1} transfers a batch before, {meanwhile:.1} while the disk is slow");
    assert!(meanwhile > 2.0 * before, "{meanwhile} instead of {before} transfers a batch");
    let delayed = tracer.detach();
    assert!(delayed.len() as f64 >= (count_then - count) / 2.0, "{} delayed", delayed.len());

    assert_eq!(server.metric(UNKNOWN).await, 0.0, "slow is not lost");
    assert_eq!(server.metric(WATCHDOG).await, 0.0, "slow is not hanging");
    let (history, settled) = heals(load, &server).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    let refused = history.shed();
    println!("{settled:?}, refused: {refused:?}");
    assert!(refused.contains_key("queue_delay"), "more came than a slow disk takes: {refused:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_fails_is_unknown_until_postgresql_has_recovered() {
    if !needs::met(&[Need::Strace]) {
        return;
    }
    let cluster = cluster::start(&[]);
    let server = TestServer::on(database_of(&cluster).await, patient).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    for _ in 0..3 {
        load.decides(50).await;
        println!("{}", disk::fail(&cluster).await);
        load.decides(1).await;
    }
    let (history, settled) = heals(load, &server).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0, "all had time for a resend");
    assert!(settled.applied > 150, "{settled:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_data_batches_are_rolled_back_until_there_is_some() {
    if !needs::met(&[Need::Mounts]) {
        return;
    }
    let mut cluster = cluster::start(&[]);
    let database = database_of(&cluster).await;
    cluster.move_to(SmallDisk::new(256 << 20).expect("a disk"), "giro").await;
    let server = TestServer::on(database, |_| {}).await;
    let load = Load::start(server.client, arriving(100)).await;
    load.decides(50).await;
    println!("{}", disk::fill_data_of(&cluster, "giro").await);
    // Pages that are there already may have room for a while.
    let full =
        async || server.metric(r#"giro_db_errors_total{severity="ERROR",sqlstate="53100"}"#).await;
    eventually("PostgreSQL refuses for want of room", async || full().await >= 1.0).await;
    eventually("it is not ready", async || server.admin.get("/readyz").await.status == 503).await;
    assert_eq!(server.admin.get("/livez").await.status, 200);
    eventually("new transfers are refused at once", async || {
        server.client.post("/transfer", &transfer(BESIDE)).await.reason() == "breaker_open"
    })
    .await;
    cluster.around().data_disk.as_ref().expect("its disk").free();
    let (history, settled) = heals(load, &server).await;
    let refused = history.shed();
    println!("{settled:?}, refused: {refused:?}");
    assert!(refused.contains_key("breaker_open"), "{refused:?}");
    assert_eq!(history.count(|told| *told == Told::Unknown), 0, "an ERROR is rolled back");
    assert_eq!(server.metric(UNKNOWN).await, 0.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_the_log_it_stays_cleanly_down_until_there_is_some() {
    if !needs::met(&[Need::Mounts]) {
        return;
    }
    let disk = SmallDisk::new(256 << 20).expect("a disk");
    let around = Around { wal_disk: Some(disk), ..Around::default() };
    let settings = [("min_wal_size", "32MB"), ("max_wal_size", "64MB")];
    let mut cluster = cluster::start_in(around, &settings);
    let server = TestServer::on(database_of(&cluster).await, |_| {}).await;
    let load = Load::start(server.client, Plan::patient(20).within(Duration::from_secs(2))).await;
    load.decides(50).await;
    println!("{}", disk::fill_wal_of(&mut cluster).await);
    assert_sheds_at_once(&server, "breaker_open").await;
    cluster.kill();
    cluster.start_again();
    let (_, settled) = heals(load, &server).await;
    assert!(settled.applied > 100, "{settled:?}");
    server.stop().await;
}
