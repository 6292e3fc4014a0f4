//! Clocks that jump by an hour, as when an operator sets the time. Only the wall clock does; what runs on the
//! monotonic clock must not notice.

use super::{patient, post_until_applied, post_within, transfer};
use giro_tests::cluster::{self, Around};
use giro_tests::load::{BESIDE, Load, Plan, Told};
use giro_tests::needs::{self, Need};
use giro_tests::nemesis::{FakeClock, applying, clock};
use giro_tests::{Client, ServerProcess, TestDatabase, TestServer};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const HOUR: i64 = 3_600;
/// There and back, forwards and backwards.
const JUMPS: [i64; 4] = [HOUR, 0, -HOUR, 0];

/// A transfer whose account is locked is answered when its deadline is over, neither sooner nor an hour
/// later, although a clock jumps meanwhile; and it is applied once when the account is free.
async fn waits_for_its_deadline(
    database: &TestDatabase,
    client: Client,
    id: u64,
    jump: impl AsyncFnOnce(),
) {
    const DEADLINE: Duration = Duration::from_secs(2);
    let holder = database.superuser().await;
    let lock =
        "BEGIN; SELECT FROM giro.account_state WHERE id = lpad('1', 32, '0')::uuid FOR UPDATE";
    holder.batch_execute(lock).await.unwrap();
    let sent = Instant::now();
    let waiting = tokio::spawn(async move { post_within(client, DEADLINE, &transfer(id)).await });
    applying(database, "wait_event_type = 'Lock'").await;
    jump().await;
    let reply =
        timeout(Duration::from_secs(60), waiting).await.expect("the deadline ends it").unwrap();
    let took = sent.elapsed();
    println!("{} {} after {took:?} of {DEADLINE:?}", reply.status, reply.reason());
    assert!(took >= DEADLINE.mul_f64(0.9) || reply.status == 503, "{took:?}: {}", reply.text);
    assert!(matches!(reply.status.as_u16(), 503 | 504), "{}", reply.text);
    holder.batch_execute("ROLLBACK").await.unwrap();
    post_until_applied(client, &transfer(id)).await;
    let applied = format!("SELECT count(*) FROM giro.transfers WHERE id::text = '{}'", uuid(id));
    assert_eq!(database.number(&applied).await, 1);
}

/// As PostgreSQL prints it.
fn uuid(id: u64) -> String {
    let digits = format!("{id:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresqls_clock_may_jump_by_an_hour() {
    if !needs::met(&[Need::Faketime]) {
        return;
    }
    let around = Around { clock: Some(FakeClock::new()), ..Around::default() };
    let cluster = cluster::start_in(around, &[]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    let server = TestServer::on(database, patient).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    for seconds in JUMPS {
        load.decides(50).await;
        println!("{}", clock::shift_of_postgres(&cluster, seconds).await);
    }
    load.decides(50).await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    let late = server.metric(r#"giro_fenced_total{function="apply_transfers"}"#).await;
    println!("{settled:?}, {late} batches came too late by a clock that had jumped");
    assert_eq!(history.count(|told| *told == Told::Unknown), 0, "all had time for a resend");
    for (number, seconds) in [HOUR, -HOUR].into_iter().enumerate() {
        let jump = async || drop(clock::shift_of_postgres(&cluster, seconds).await);
        waits_for_its_deadline(&server.database, server.client, BESIDE - number as u64, jump).await;
        clock::shift_of_postgres(&cluster, 0).await;
    }
    server.database.assert_consistent().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_clock_may_jump_by_an_hour() {
    if !needs::met(&[Need::Faketime]) {
        return;
    }
    let database = TestDatabase::new().await;
    let own = FakeClock::new();
    let faked = own.environment();
    let mut environment = vec![("DATABASE_URL", database.server_url.as_str())];
    environment.extend(faked.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = ServerProcess::run(program, &["serve"], &environment).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    for seconds in JUMPS {
        load.decides(50).await;
        println!("{}", clock::shift_of_process(&own, server.id(), seconds));
    }
    load.decides(50).await;
    let (history, settled) = load.assert_truth(&database, server.client).await;
    history.assert_nobody_was_cut_off();
    assert_eq!(history.answers.len(), settled.applied + settled.rejected, "nobody notices");
    for (number, seconds) in [HOUR, -HOUR].into_iter().enumerate() {
        let jump = async || drop(clock::shift_of_process(&own, server.id(), seconds));
        waits_for_its_deadline(&database, server.client, BESIDE - number as u64, jump).await;
    }
    database.assert_consistent().await;
}
