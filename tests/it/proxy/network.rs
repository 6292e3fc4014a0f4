//! The proxy as a slow network: everything arrives, whole and in order.

use super::{Behind, Marker};
use giro_tests::{Proxy, Target};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

impl Marker {
    /// Sets so many marks at once, each sent without waiting for the one before.
    async fn mark_pipelined(&self, marks: i64) -> Vec<Vec<i64>> {
        let mark = async |mark| self.mark(mark).await.unwrap();
        futures_util::future::join_all((0..marks).map(mark)).await
    }
}

#[tokio::test]
async fn delays_do_not_add_up() {
    const DELAY: Duration = Duration::from_millis(250);
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.delay(DELAY);
    let started = Instant::now();
    // All of them have left before the first reply has come back.
    let first = async {
        lane.mark(0).await.unwrap();
        (started.elapsed(), behind.proxy.counts().calls)
    };
    let ((took, calls), marked) = tokio::join!(first, lane.mark_pipelined(50));
    assert!(took >= 2 * DELAY, "there and back: {took:?}");
    assert_eq!(calls, 51, "one waited for another");
    assert_eq!(marked, (0..50).map(|mark| vec![mark]).collect::<Vec<_>>());
    assert!(behind.proxy.counts().delayed >= 51 * 3);
}

#[tokio::test]
async fn a_delay_of_less_than_a_millisecond_is_one() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.delay(Duration::from_micros(500));
    let mut fastest = Duration::MAX;
    for _ in 0..50 {
        let started = Instant::now();
        lane.client.simple_query("").await.unwrap();
        fastest = fastest.min(started.elapsed());
    }
    println!("a round trip takes at least {fastest:?}");
    assert!(fastest >= Duration::from_millis(1), "{fastest:?}");
}

#[tokio::test]
async fn jitter_keeps_the_order() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.seed(1);
    behind.proxy.jitter(Duration::from_millis(5));
    for _ in 0..5 {
        let marked = lane.mark_pipelined(20).await;
        assert_eq!(marked, (0..20).map(|mark| vec![mark]).collect::<Vec<_>>());
    }
    behind.has_marks(100).await;
}

#[tokio::test]
async fn single_bytes_make_the_same_messages() {
    let behind = Behind::new().await;
    for bytes in [1, 3] {
        behind.proxy.slice(bytes);
        let lane = behind.marker("lane").await;
        let marked = lane.mark_pipelined(20).await;
        assert_eq!(marked, (0..20).map(|mark| vec![mark]).collect::<Vec<_>>());
    }
    behind.has_marks(40).await;
    assert!(behind.proxy.counts().sliced > 40 * 3);
}

#[tokio::test]
async fn a_limited_bandwidth_takes_its_time() {
    const BYTES: u64 = 20_000;
    let behind = Behind::new().await;
    let lane = behind.session("lane").await.unwrap();
    behind.proxy.rate(10 * BYTES);
    let started = Instant::now();
    let text = format!("SELECT repeat('x', {BYTES})");
    let row = lane.query_one(&text, &[]).await.unwrap();
    let took = started.elapsed();
    assert_eq!(row.get::<_, &str>(0).len() as u64, BYTES);
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert!(behind.proxy.counts().limited > 0);
}

#[tokio::test]
async fn a_network_is_every_session() {
    let behind = Behind::new().await;
    let network = Proxy::start(&behind.database.owner_url, Target::NETWORK).await;
    network.delay(Duration::from_millis(1));
    let (client, connection) = tokio_postgres::connect(network.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.simple_query("INSERT INTO marks VALUES (1)").await.unwrap();
    behind.has_marks(1).await;
    let counts = network.counts();
    assert_eq!((counts.sessions, counts.calls), (1, 0));
    assert!(counts.delayed > 0);
}
