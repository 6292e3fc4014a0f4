//! Many callers, few commits.

use giro_ledger::{ApplyTransfers, Lane, Transfer};
use giro_tests::TestServer;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_callers_share_commits_and_balances_are_exact() {
    const CALLERS: u64 = 500;
    const EACH: u64 = 6;
    let server = TestServer::configured(|config| {
        // The machine may be slow, and this test is not about time.
        config.server.request_timeout.0 = Duration::from_secs(30);
        config.queue.max_wait.0 = Duration::from_secs(30);
        config.queue.target_wait.0 = Duration::from_secs(30);
    })
    .await;
    server.accounts(110).await;
    let client = server.client;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(async move {
            let mut sum = 0;
            for round in 0..EACH {
                let amount = 1 + (caller * 7 + round) % 100;
                let body = json!({
                    "debit_account": 1 + (caller + round) % 10,
                    "credit_account": 11 + (caller * EACH + round) % 100,
                    "amount": amount,
                });
                let reply = client.post("/transfer", &body).await;
                assert_eq!(reply.outcome(), "applied", "{}", reply.text);
                sum += amount;
            }
            sum
        });
    }
    let acknowledged: u64 = callers.join_all().await.into_iter().sum();
    let database = &server.database;
    let sums = "SELECT sum(debits_posted)::bigint FROM giro.accounts";
    assert_eq!(database.number(sums).await, acknowledged as i64);
    let transfers = database.number("SELECT count(*) FROM giro.transfers").await;
    assert_eq!(transfers, (CALLERS * EACH) as i64);
    let commits =
        database.number("SELECT count(*) FROM giro.batches WHERE kind = 'transfers'").await;
    assert!(commits * 5 <= transfers, "{commits} commits for {transfers} transfers");
    database.assert_consistent().await;
    database.assert_no_deadlock().await;
}

#[tokio::test]
async fn a_lone_transfer_costs_about_one_round_trip() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let config = giro_server::Config::default();
    let url = giro_server::DatabaseUrl::from(server.database.server_url.clone());
    let lane = Lane::<ApplyTransfers>::new(
        "direct".into(),
        "test".into(),
        config.connector(&url).unwrap(),
        config.watchdog(),
        giro_ledger::Metrics::register(&prometheus::Registry::new()).unwrap(),
    );
    let session = lane.connect().await.expect("a session");
    let body = json!({"debit_account": 1, "credit_account": 2, "amount": 1});
    let (mut by_call, mut by_http) = (Vec::new(), Vec::new());
    // In turn, so that both see the same machine.
    for _ in 0..40 {
        let transfer = Transfer::new(serde_json::from_str(&body.to_string()).unwrap()).unwrap();
        let started = Instant::now();
        let not_after = started + Duration::from_secs(30);
        lane.send(&session, &[vec![transfer]], not_after).await.unwrap();
        by_call.push(started.elapsed());
        let started = Instant::now();
        assert_eq!(server.client.post("/transfer", &body).await.status, 200);
        by_http.push(started.elapsed());
    }
    by_call.sort();
    by_http.sort();
    let (call, http) = (by_call[20], by_http[20]);
    // A linger of a few milliseconds would show: the call itself takes about one.
    assert!(http < call * 4, "{http:?} over HTTP, {call:?} by the call alone");
    let commits = server
        .database
        .number("SELECT max(applied)::bigint FROM giro.batches WHERE kind = 'transfers'");
    assert_eq!(commits.await, 1, "each went out alone");
}
