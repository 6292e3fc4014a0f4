//! What becomes of a batch that fails, and of a session.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failed_batch_says_whether_it_can_have_run() {
    for (answer, error) in [
        ((|_| Err(Failure::Broken)) as fn(_) -> _, TicketError::RolledBack),
        (|_| Err(Failure::Contended), TicketError::RolledBack),
        (|_| Err(Failure::Unknown), TicketError::Unknown),
        (|_| Ok(vec![]), TicketError::Unknown), // as many outcomes as requests, or nobody is told
    ] {
        let bench = start(LIMITS, answer);
        bench.lane.go.add_permits(1000);
        assert_eq!(resolve(outcome(bench.submit(1).unwrap())).await, Err(error));
        // And the slot is back.
        for request in [2, 3] {
            advance(Duration::from_secs(10)).await;
            settle().await;
            assert_eq!(resolve(outcome(bench.submit(request).unwrap())).await, Err(error));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_driver_rather_than_leave_deaf_callers() {
    let bench = start(LIMITS, |_| panic!("a bug"));
    bench.lane.go.add_permits(1);
    assert_eq!(resolve(outcome(bench.submit(1).unwrap())).await, Err(TicketError::Unknown));
    assert!(resolve(bench.worker).await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_request_comes_back_and_the_others_are_applied() {
    let poisoned = |requests: Vec<u32>| match requests.contains(&3) {
        true => Err(Failure::Poisoned),
        false => double(requests),
    };
    let bench = start(LIMITS, poisoned);
    bench.lane.go.add_permits(0);
    let _busy = bench.occupy().await;
    let tickets: Vec<_> = (1..=4).map(|r| bench.submit(r).unwrap()).collect();
    bench.lane.go.add_permits(100);
    for (request, ticket) in (1..=4).zip(tickets) {
        let answer = resolve(ticket.answer()).await.unwrap();
        match request {
            3 => assert_eq!(answer, Answer::Poisoned(3)),
            _ => assert_eq!(answer, Answer::Applied(request, request * 2)),
        }
    }
    assert_eq!(bench.lane.batches()[3..], [vec![1, 2], vec![3, 4], vec![3], vec![4]]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_answer_is_given_up_and_the_batch_sent_on_another() {
    let bench = start(Limits { watchdog: Duration::from_secs(1), ..LIMITS }, double);
    let ticket = bench.submit(1).unwrap();
    settle().await;
    advance(Duration::from_millis(1001)).await;
    settle().await;
    assert_eq!(bench.metrics.watchdogs.get(), 1);
    assert_eq!(bench.lane.connects.available_permits(), 2);
    bench.lane.go.add_permits(1);
    assert_eq!(resolve(outcome(ticket)).await, Ok(2));
    assert_eq!(bench.lane.batches(), [[1], [1]]);
}

#[tokio::test(start_paused = true)]
async fn one_lost_session_is_one_failure_however_much_was_in_flight() {
    let bench = start(Limits { in_flight: 3, ..LIMITS }, double);
    let mut tickets = Vec::new();
    for request in 1..=3 {
        tickets.push(bench.submit(request).unwrap());
        settle().await;
    }
    assert_eq!(bench.lane.batches().len(), 3);
    bench.lane.up.send_replace(false);
    settle().await;
    bench.lane.up.send_replace(true);
    bench.lane.go.add_permits(10);
    for (request, ticket) in (1..=3).zip(tickets) {
        assert_eq!(resolve(outcome(ticket)).await, Ok(request * 2));
    }
    assert_eq!(bench.metrics.breaker_opened.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn looking_for_what_cannot_be_applied_leaves_time_for_what_can() {
    // Every second request is poison: to find all would take hundreds of sends.
    let poisoned = |requests: Vec<u32>| match requests.iter().any(|request| request % 2 == 1) {
        true => Err(Failure::Poisoned),
        false => double(requests),
    };
    let limits = Limits {
        queue_items: 2048,
        queue_bytes: 1 << 20,
        batch_items: 1024,
        batch_bytes: 1 << 20,
        ..LIMITS
    };
    let bench = start(limits, poisoned);
    let _busy = bench.occupy_with([2, 4]).await;
    let tickets: Vec<_> = (1..=1024).map(|r| bench.submit(r).unwrap()).collect();
    bench.lane.go.add_permits(10_000);
    for ticket in tickets {
        let _ = resolve(ticket.answer()).await;
    }
    let sends = bench.lane.batches().len();
    assert!(sends < 250, "{sends} sends");
}
