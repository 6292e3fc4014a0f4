//! Overload costs those who are refused, and nobody else.

use giro_tests::cluster::{self, TestCluster};
use giro_tests::figures::open_loop::{Arrivals, Load, Transfers};
use giro_tests::{TestDatabase, TestServer};
use hyper::header::{HeaderName, HeaderValue};
use std::time::Duration;

const BATCH_ITEMS: usize = 8;
const ACCOUNTS: u64 = 1000;
/// Of each load, until it has settled.
const SETTLED: Duration = Duration::from_secs(1);
const END: Duration = Duration::from_secs(4);

/// A server on a database whose every commit takes 20 ms: it applies some 300 transfers a second, and
/// to offer many times that is little work.
async fn slow(client_header: Option<&str>) -> (TestCluster, TestServer) {
    let cluster = cluster::start(&[("commit_delay", "20000"), ("commit_siblings", "0")]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    let server = TestServer::on(database, |config| {
        config.batch.max_items = ACCOUNTS as usize;
    })
    .await;
    server.accounts(ACCOUNTS).await;
    let (_, database) = server.stop().await;
    let server = TestServer::on(database, |config| {
        config.batch.max_items = BATCH_ITEMS;
        config.server.client_header = client_header.map(str::to_owned);
    })
    .await;
    (cluster, server)
}

/// What the database can do: transfers a second of just as many callers as keep its batches full.
async fn plateau(server: &TestServer) -> f64 {
    let mut load = Load::new(server.address(), Arrivals::Closed, END);
    load.connections = 4 * BATCH_ITEMS;
    load.run().await.goodput(SETTLED, END)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_times_the_load_takes_little_goodput_and_refusals_say_when_to_come_back() {
    let (_cluster, server) = slow(None).await;
    let peak = plateau(&server).await;
    let mut load = Load::new(server.address(), Arrivals::Poisson(5.0 * peak), END);
    load.transfers = Transfers::from(1_000_000);
    let answers = load.run().await;
    let goodput = answers.goodput(SETTLED, END);
    let counts = answers.counts();
    println!("peak {peak:.0}/s, goodput {goodput:.0}/s, {counts}");
    assert!(peak > 50.0, "the plateau is {peak:.0}/s");
    assert!(goodput >= 0.7 * peak, "{goodput:.0}/s of {peak:.0}/s: {counts}");
    let shed: Vec<_> = answers.all.iter().filter(|answer| answer.is_shed()).collect();
    assert!(shed.len() > answers.all.len() / 4, "hardly anybody was refused: {counts}");
    for answer in shed {
        assert!(answer.tells_when, "{answer:?}");
    }
    server.database.assert_consistent().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_that_asks_for_everything_leaves_a_modest_one_its_share() {
    let header = HeaderName::from_static("x-client");
    let (_cluster, server) = slow(Some(header.as_str())).await;
    let peak = plateau(&server).await;
    let load = |name: &'static str, rate, first| {
        let mut load = Load::new(server.address(), Arrivals::Poisson(rate), END);
        load.caller = Some((header.clone(), HeaderValue::from_static(name)));
        load.transfers = Transfers::from(first);
        load
    };
    let hog = load("hog", 10.0 * peak, 1_000_000);
    let modest = load("modest", 0.1 * peak, 2_000_000);
    let (hog, modest) = tokio::join!(hog.run(), modest.run());
    let counts = format!("hog {}, modest {}", hog.counts(), modest.counts());
    println!("peak {peak:.0}/s, {counts}");
    let applied = modest.all.iter().filter(|answer| answer.is_applied()).count();
    assert!(applied as f64 >= 0.9 * modest.all.len() as f64, "{counts}");
    let refused: Vec<_> = hog.all.iter().filter(|answer| answer.is_shed()).collect();
    assert!(refused.len() > hog.all.len() / 2, "the hog was not refused: {counts}");
    for answer in refused {
        assert!(matches!(answer.reason, "client_share" | "queue_delay"), "{answer:?}");
    }
    server.stop().await;
}
