//! Links that break within a message, are slow, or deliver what nobody sent.

use super::patient;
use super::sessions::cut_under_load;
use giro_server::DatabaseUrl;
use giro_tests::load::{Load, Plan, Told};
use giro_tests::{Fault, Proxy, Target, TestDatabase, TestServer, eventually};
use std::time::Duration;

const SESSION: &str = r#"giro_unknown_total{cause="session",function="apply_transfers"}"#;
const ECHO: &str = r#"giro_unknown_total{cause="echo",function="apply_transfers"}"#;
const REPLY: &str = r#"giro_unknown_total{cause="reply",function="apply_transfers"}"#;

/// A server behind a proxy, with so many batches under way at once.
async fn behind_proxy(target: Target, in_flight: usize) -> (Proxy, TestServer) {
    let database = TestDatabase::new().await;
    let proxy = Proxy::start(&database.server_url, target).await;
    let server = TestServer::on(database, |config| {
        patient(config);
        config.batch.in_flight = in_flight;
        config.database.url = Some(DatabaseUrl::from(proxy.url().to_owned()));
    })
    .await;
    (proxy, server)
}

/// Lets a fault happen so often, with decisions in between.
async fn again_and_again(fault: Fault, times: u64, proxy: &Proxy, load: &Load) {
    let before = proxy.fired(fault);
    for time in 1..=times {
        load.decides(20).await;
        proxy.arm(fault);
        eventually("it happens", async || proxy.fired(fault) == before + time).await;
    }
    load.decides(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_sessions_are_replaced_and_the_resend_tells_what_was_applied() {
    cut_under_load(Fault::Reset, 10, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_cut_within_its_parameters_has_not_committed() {
    let replayed = cut_under_load(Fault::CutInRequest, 5, 1).await;
    assert_eq!(replayed, 0, "what was cut had not been applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_result_is_none_and_the_resend_tells_it() {
    let replayed = cut_under_load(Fault::CutInReply, 5, 2).await;
    assert!(replayed >= 5, "{replayed} of what was cut had been applied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_single_bytes_and_half_a_second_is_slow_and_nothing_else() {
    let (proxy, server) = behind_proxy(Target::NETWORK, 2).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(20).await;
    proxy.slice(1);
    proxy.delay(Duration::from_millis(250));
    load.decides(100).await;
    let slow = proxy.counts();
    assert!(slow.sliced > 100 && slow.delayed > 100, "{slow:?}");
    proxy.calm();
    load.decides(100).await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    assert!(settled.applied > 0 && settled.rejected > 0, "{settled:?}");
    for cause in ["session", "watchdog", "warning", "echo", "reply"] {
        let unknown =
            format!(r#"giro_unknown_total{{cause="{cause}",function="apply_transfers"}}"#);
        assert_eq!(server.metric(&unknown).await, 0.0, "{cause}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_slow_link_as_well_lost_sessions_are_replaced() {
    let target = Target { sessions: "giro", ..Target::LANES };
    let (proxy, server) = behind_proxy(target, 2).await;
    proxy.slice(3);
    proxy.delay(Duration::from_millis(20));
    proxy.jitter(Duration::from_millis(20));
    let load = Load::start(server.client, Plan::patient(20)).await;
    for fault in [Fault::Reset, Fault::CutAfterSync, Fault::CutInReply, Fault::HalfClose] {
        again_and_again(fault, 2, &proxy, &load).await;
    }
    let (history, _) = load.assert_truth(&server.database, server.client).await;
    history.assert_nobody_was_cut_off();
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    assert!(server.metric(SESSION).await >= 8.0);
}

/// Falsifies replies under load, one batch at a time, so that each is of a session still in use: each
/// is noticed, nobody gets it, and the resend tells what is true.
async fn falsified_under_load(fault: Fault) {
    const TIMES: u64 = 10;
    let (proxy, server) = behind_proxy(Target::LANES, 1).await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    again_and_again(fault, TIMES, &proxy, &load).await;
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    assert!(settled.applied > 0 && settled.rejected > 0, "{settled:?}");
    let noticed = server.metric(ECHO).await + server.metric(REPLY).await;
    assert!(noticed >= TIMES as f64, "{noticed} of {TIMES} were noticed");
    let replayed = "SELECT coalesce(sum(replayed), 0)::bigint FROM giro.batches";
    assert!(server.database.number(replayed).await > 0, "nothing was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_reply_reaches_nobody() {
    falsified_under_load(Fault::GarbleReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reply_of_another_call_reaches_nobody() {
    falsified_under_load(Fault::ShiftReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_comes_one_call_too_late_reaches_nobody() {
    falsified_under_load(Fault::DeferReply).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_pipelined_calls_as_well_nobody_gets_the_result_of_another() {
    let (proxy, server) = behind_proxy(Target::LANES, 4).await;
    // So that there is always a call behind the one that is answered.
    proxy.delay(Duration::from_millis(5));
    let load = Load::start(server.client, Plan::patient(60)).await;
    for fault in [Fault::ShiftReply, Fault::DeferReply, Fault::GarbleReply] {
        again_and_again(fault, 5, &proxy, &load).await;
    }
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0);
    assert!(settled.applied > 0 && settled.rejected > 0, "{settled:?}");
    assert!(server.metric(ECHO).await >= 1.0);
}

/// No single byte of a reply turns "applied" into "refused" or back, or one reason into another: what
/// nobody can notice is within a place, a time, an amount, or whether it was decided before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_byte_of_a_reply_is_garbled_what_became_of_a_transfer_is_told_truly() {
    let (proxy, server) = behind_proxy(Target::LANES, 2).await;
    proxy.at_random(Fault::GarbleAnywhere, 0.2);
    let load = Load::start(server.client, Plan::patient(20)).await;
    eventually("many are garbled", async || proxy.fired(Fault::GarbleAnywhere) >= 50).await;
    proxy.calm();
    load.decides(20).await;
    let (_, settled) = load.assert_truth(&server.database, server.client).await;
    assert!(settled.applied > 0 && settled.rejected > 0, "{settled:?}");
    assert!(server.metric(REPLY).await >= 1.0);
}
