//! How it ends, in order or not.

use super::*;

#[tokio::test(start_paused = true)]
async fn close_drains_the_queue_and_refuses_newcomers() {
    let bench = start(LIMITS, double);
    let busy = bench.occupy().await;
    let queued: Vec<_> = (1..=6).map(|r| bench.submit(r).unwrap()).collect();
    bench.batcher.close();
    assert_eq!(bench.submit(99).err(), Some(SubmitError::Draining));
    bench.lane.go.add_permits(10);
    for ticket in busy.into_iter().chain(queued) {
        assert!(resolve(outcome(ticket)).await.is_ok());
    }
    resolve(bench.worker).await.unwrap();
    assert_eq!(bench.metrics.batches_in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_ends_on_close() {
    let bench = start(LIMITS, double);
    settle().await;
    bench.batcher.close();
    resolve(bench.worker).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_given_up_answers_the_queued_as_never_run() {
    let bench = start(LIMITS, double);
    let _busy = bench.occupy().await;
    let queued = bench.submit(1).unwrap();
    bench.batcher.close();
    assert_eq!(bench.batcher.abandon(), 1);
    assert_eq!(resolve(outcome(queued)).await, Err(TicketError::Draining));
    assert_eq!(bench.metrics.queue_items.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_close_while_the_lane_is_down_ends_when_the_last_caller_has() {
    let bench = start(LIMITS, double);
    bench.lane.up.send_replace(false);
    let waiting = bench.submit(1).unwrap();
    settle().await;
    bench.batcher.close();
    settle().await;
    assert!(!bench.worker.is_finished(), "somebody still waits");
    assert_eq!(resolve(outcome(waiting)).await, Err(TicketError::Deadline));
    resolve(bench.worker).await.unwrap();
    assert_eq!(bench.lane.batches(), [[]; 0] as [[u32; 0]; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_the_worker_of_a_lane_that_is_down_when_another_drains_the_queue() {
    let lanes = [Steps::new(double), Steps::new(double)];
    lanes[0].up.send_replace(false);
    let metrics = Metrics::register(&prometheus::Registry::new(), "test").unwrap();
    let limits = Limits { in_flight: 1, ..LIMITS };
    let (batcher, driver) = Batcher::new(limits, lanes.to_vec(), metrics).unwrap();
    let driver = tokio::spawn(driver);
    let submit = |request| batcher.submit(request, claim(1, 10)).unwrap();
    let busy = submit(1);
    settle().await;
    let queued = submit(2);
    settle().await;
    batcher.close();
    lanes[1].go.add_permits(10);
    assert_eq!(resolve(outcome(busy)).await, Ok(2));
    assert_eq!(resolve(outcome(queued)).await, Ok(4));
    resolve(driver).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn giving_up_a_worker_tells_the_callers_in_flight() {
    let bench = start(LIMITS, double);
    let busy = bench.occupy().await;
    bench.worker.abort();
    for ticket in busy {
        assert_eq!(resolve(outcome(ticket)).await, Err(TicketError::Unknown));
    }
}
