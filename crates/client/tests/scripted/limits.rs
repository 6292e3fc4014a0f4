//! Deadlines, the budget, and the bounded set of connections.

use crate::script::{Server, Step};
use crate::{client, not_applied, payment, quick};
use giro_client::{RetryPolicy, Stopped};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const APPLIED: Step = Step::Applied { replayed: false };

#[tokio::test]
async fn every_attempt_says_how_long_its_answer_is_waited_for() {
    let again = || Step::NotApplied { status: 503, reason: "deadline", retry_after_ms: Some(100) };
    let server = Server::with([again(), again(), APPLIED]).await;
    let client = server.client().deadline(Duration::from_secs(10)).retries(quick());
    let client = client.attempt_timeout(Duration::from_secs(10)).build().unwrap();
    client.transfer(&payment()).await.unwrap();
    let announced: Vec<u64> = server.seen().iter().map(|seen| seen.announced_ms).collect();
    assert!(announced[0] <= 9950, "less than the deadline: {announced:?}");
    for pair in announced.windows(2) {
        assert!(pair[1] <= pair[0] - 100, "less than before: {announced:?}");
    }
}

#[tokio::test]
async fn an_attempt_is_announced_with_its_own_limit() {
    let server = Server::with([APPLIED]).await;
    let client = server.client().deadline(Duration::from_secs(20));
    let client = client.attempt_timeout(Duration::from_secs(3)).build().unwrap();
    client.transfer(&payment()).await.unwrap();
    let announced = server.seen()[0].announced_ms;
    assert!(announced <= 2950, "{announced}");
}

#[tokio::test]
async fn nothing_is_sent_without_time() {
    let server = Server::with([]).await;
    let client = client(&server);
    for deadline in [Duration::ZERO, Duration::from_micros(900)] {
        let error = not_applied(client.with_deadline(deadline).transfer(&payment()).await);
        assert_eq!(error.stopped, Stopped::Deadline);
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_pause_that_ends_too_late_is_not_made() {
    let far = Step::NotApplied { status: 503, reason: "queue_full", retry_after_ms: Some(60_000) };
    let server = Server::with([far]).await;
    let began = Instant::now();
    let error = not_applied(client(&server).transfer(&payment()).await);
    assert_eq!(error.stopped, Stopped::Deadline);
    assert!(began.elapsed() < Duration::from_secs(15), "before the deadline");
    server.seen();
}

#[tokio::test]
async fn clones_share_the_retry_budget() {
    let server = Server::with((0..11).map(|_| Step::shed())).await;
    let retries = RetryPolicy { budget_percent: 10, budget_per_second: 0, ..quick() };
    let client = server.client().retries(retries).build().unwrap();
    let mut attempts = Vec::new();
    for _ in 0..10 {
        let error = not_applied(client.clone().transfer(&payment()).await);
        assert_eq!(error.stopped, Stopped::Budget);
        attempts.push(error.attempts);
    }
    assert_eq!(attempts, [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    server.seen();
}

#[tokio::test]
async fn calls_one_after_another_use_one_connection() {
    let server = Server::with((0..10).map(|_| APPLIED)).await;
    let client = client(&server);
    for _ in 0..10 {
        client.transfer(&payment()).await.unwrap();
    }
    assert!(server.seen().iter().all(|seen| seen.connection == 1));
}

#[tokio::test]
async fn calls_at_once_share_a_bounded_set_of_connections() {
    let server = Server::with((0..40).map(|_| APPLIED)).await;
    let client = server.client().max_connections(3).deadline(Duration::from_secs(20));
    let client = client.attempt_timeout(Duration::from_secs(20)).build().unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let client = client.clone();
        calls.spawn(async move { client.transfer(&payment()).await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), 40);
    let connections = server.seen().iter().map(|seen| seen.connection).max();
    assert!(connections <= Some(3), "{connections:?}");
}

#[tokio::test]
async fn who_waits_for_a_connection_in_vain_has_not_sent_anything() {
    let server = Server::with([Step::Silence]).await;
    let client =
        server.client().max_connections(1).retries(RetryPolicy { max_tries: 1, ..quick() });
    let client = client.attempt_timeout(Duration::from_secs(20)).build().unwrap();
    let held = tokio::spawn({
        let client = client.with_deadline(Duration::from_secs(20));
        async move { client.transfer(&payment()).await }
    });
    while server.asked() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = client.with_deadline(Duration::from_millis(200));
    let error = not_applied(waiting.transfer(&payment()).await);
    assert!(error.detail.contains("waiting for a connection"), "{error}");
    held.abort();
    server.seen();
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let server = Server::with([APPLIED, APPLIED]).await;
    let client = client(&server);
    client.transfer(&payment()).await.unwrap();
    server.close_connections();
    client.transfer(&payment()).await.unwrap();
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 2]);
}
