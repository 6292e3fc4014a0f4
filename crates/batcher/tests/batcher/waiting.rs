//! Who gets into the queue, and how long anybody waits there.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_and_the_refused_never_runs() {
    let bench = start(LIMITS, double);
    let busy = bench.occupy().await;
    let queued: Vec<_> = (1..=8).map(|r| bench.submit(r).unwrap()).collect();
    assert_eq!(bench.submit(99).err(), Some(SubmitError::QueueFull));
    assert_eq!(bench.metrics.queue_items.get(), 8);
    assert_eq!(bench.metrics.shed.with_label_values(&["queue_full"]).get(), 1);
    bench.lane.go.add_permits(10);
    for ticket in busy.into_iter().chain(queued) {
        assert!(resolve(outcome(ticket)).await.is_ok());
    }
    assert!(!bench.lane.batches().concat().contains(&99));
    assert_eq!(bench.metrics.queue_items.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_departed_caller_frees_its_place_and_is_not_dispatched() {
    let bench = start(LIMITS, double);
    let _busy = bench.occupy().await;
    let mut queued: Vec<_> = (1..=8).map(|r| bench.submit(r).unwrap()).collect();
    drop(queued.remove(0));
    let late = bench.submit(9).expect("the place is free at once");
    assert_eq!(bench.metrics.departed.get(), 1);
    bench.lane.go.add_permits(10);
    assert_eq!(resolve(outcome(late)).await, Ok(18));
    assert!(!bench.lane.batches().concat().contains(&1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_after_dispatch_does_not_disturb_the_others() {
    let bench = start(LIMITS, double);
    let mut busy = bench.occupy().await;
    drop(busy.remove(0));
    assert_eq!(bench.metrics.departed.get(), 0, "it was dispatched already");
    bench.lane.go.add_permits(2);
    assert_eq!(resolve(outcome(busy.remove(0))).await, Ok(204));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_queue_is_definite_and_one_in_flight_is_not() {
    let bench = start(LIMITS, double);
    let mut busy = bench.occupy().await;
    let queued = bench.submit(7).unwrap();
    let begun = Instant::now();
    assert_eq!(resolve(outcome(queued)).await, Err(TicketError::Deadline));
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    assert_eq!(resolve(outcome(busy.remove(0))).await, Err(TicketError::Unknown));
    bench.lane.go.add_permits(10);
    settle().await;
    assert!(!bench.lane.batches().concat().contains(&7), "an expired request is never sent");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_in_the_queue_longer_than_it_allows() {
    let wait = Duration::from_millis(100);
    let bench = start(Limits { queue_wait: wait, target_wait: wait, ..LIMITS }, double);
    let mut busy = bench.occupy().await;
    let begun = Instant::now();
    let queued = bench.submit(7).unwrap();
    assert_eq!(resolve(outcome(queued)).await, Err(TicketError::QueueDelay));
    assert_eq!(begun.elapsed(), wait);
    bench.lane.go.add_permits(10);
    assert_eq!(resolve(outcome(busy.remove(0))).await, Ok(202), "what is in flight waits on");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_checked_at_dispatch() {
    let bench = start(LIMITS, double);
    bench.lane.up.send_replace(false);
    let expired = bench.submit(1).unwrap();
    advance(Duration::from_secs(3)).await;
    let alive = bench.submit(2).unwrap();
    bench.lane.up.send_replace(true);
    bench.lane.go.add_permits(10);
    assert_eq!(resolve(outcome(alive)).await, Ok(4));
    assert_eq!(bench.metrics.expired.get(), 1);
    assert_eq!(resolve(outcome(expired)).await, Err(TicketError::Deadline));
    assert_eq!(bench.lane.batches(), [[2]]);
}

#[tokio::test(start_paused = true)]
async fn while_the_lane_is_down_requests_stay_in_the_queue() {
    let bench = start(LIMITS, double);
    bench.lane.go.add_permits(10);
    assert_eq!(outcome(bench.submit(1).unwrap()).await, Ok(2));
    bench.lane.up.send_replace(false);
    settle().await;
    let waiting = [2, 3].map(|request| bench.submit(request).unwrap());
    settle().await;
    assert_eq!(bench.metrics.queue_items.get(), 2);
    bench.lane.up.send_replace(true);
    for (ticket, expected) in waiting.into_iter().zip([4, 6]) {
        assert_eq!(resolve(outcome(ticket)).await, Ok(expected));
    }
    assert_eq!(bench.lane.batches(), [vec![1], vec![2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn under_pressure_half_is_let_in_or_nothing() {
    for (pressure, admitted) in
        [(Pressure::Accept, 8), (Pressure::Throttle, 4), (Pressure::Reject, 0)]
    {
        let bench = start(LIMITS, double);
        let _busy = bench.occupy().await;
        bench.batcher.set_pressure(pressure);
        let queued: Vec<_> = (1..=9).map_while(|r| bench.submit(r).ok()).collect();
        assert_eq!(queued.len(), admitted, "{pressure:?}");
    }
}

#[test]
fn limits_that_contradict_each_other_are_refused_with_both_numbers() {
    let refused = |limits: Limits| limits.check().unwrap_err().0;
    assert!(refused(Limits { batch_items: 0, ..LIMITS }).contains("batch.max_items is 0"));
    assert!(refused(Limits { in_flight: 0, ..LIMITS }).contains("batch.in_flight is 0"));
    let wait = LIMITS.queue_wait;
    assert!(refused(Limits { batch_wait: wait, ..LIMITS }).contains("queue.max_wait (10s)"));
    let message = refused(Limits { queue_items: 3, ..LIMITS });
    assert!(message.contains("(3)") && message.contains("(4)"), "{message}");
    let message = refused(Limits { queue_bytes: 399, ..LIMITS });
    assert!(message.contains("(399)") && message.contains("(400)"), "{message}");
    assert_eq!(LIMITS.check(), Ok(()));
}
