//! When a batch leaves, and who is in it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lone_request_is_sent_at_once() {
    let bench = start(LIMITS, double);
    bench.lane.go.add_permits(1);
    let begun = Instant::now();
    assert_eq!(outcome(bench.submit(21).unwrap()).await, Ok(42));
    assert_eq!(begun.elapsed(), Duration::ZERO, "no linger is added by default");
}

#[tokio::test(start_paused = true)]
async fn batches_grow_while_every_slot_is_busy_and_answers_go_by_position() {
    let bench = start(LIMITS, double);
    let _busy = bench.occupy().await;
    let tickets: Vec<_> = (1..=6).map(|r| bench.submit(r).unwrap()).collect();
    settle().await;
    assert_eq!(bench.lane.batches().len(), 2, "at most two batches in flight on a lane");
    bench.lane.go.add_permits(10);
    for (ticket, expected) in tickets.into_iter().zip([2, 4, 6, 8, 10, 12]) {
        assert_eq!(resolve(outcome(ticket)).await, Ok(expected));
    }
    assert_eq!(bench.lane.batches()[2..], [vec![1, 2, 3, 4], vec![5, 6]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_follows_another_only_when_it_is_as_large_or_full_or_the_last() {
    let three_ahead = async || {
        let bench = start(LIMITS, double);
        bench.warm_up().await;
        let ahead = [1, 2, 3].map(|request| bench.submit(request).unwrap());
        settle().await;
        let next = bench.submit(4).unwrap();
        settle().await;
        assert_eq!(bench.lane.batches(), [[1, 2, 3]], "it grows here rather than wait there");
        (bench, ahead, next)
    };
    let (as_large, _ahead, _next) = three_ahead().await;
    let _more = [5, 6].map(|request| as_large.submit(request).unwrap());
    settle().await;
    assert_eq!(as_large.lane.batches()[1..], [[4, 5, 6]]);

    let (full, _ahead, _next) = three_ahead().await;
    let _more = full.submit_sized(5, 1, LIMITS.batch_bytes - 10).unwrap();
    settle().await;
    assert_eq!(full.lane.batches()[1..], [[4, 5]], "by its bytes");

    let (last, _ahead, _next) = three_ahead().await;
    last.batcher.close();
    settle().await;
    assert_eq!(last.lane.batches()[1..], [[4]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_behind_another_for_the_callers_of_the_one_before_but_not_for_long() {
    let nearly_back = async || {
        let bench = start(Limits { batch_items: 8, queue_items: 16, ..LIMITS }, double);
        bench.warm_up().await;
        let first = [1, 2, 3].map(|request| bench.submit(request).unwrap());
        settle().await;
        let second = [4, 5, 6].map(|request| bench.submit(request).unwrap());
        settle().await;
        assert_eq!(bench.lane.batches(), [[1, 2, 3], [4, 5, 6]]);
        let another = bench.submit(7).unwrap();
        bench.lane.go.add_permits(1);
        for ticket in first {
            resolve(outcome(ticket)).await.unwrap();
        }
        let back = [8, 9].map(|request| bench.submit(request).unwrap());
        settle().await;
        assert_eq!(bench.lane.batches().len(), 2, "as large as the one ahead, and one is missing");
        (bench, second, another, back)
    };
    let (all, _second, _another, _back) = nearly_back().await;
    let _last = all.submit(10).unwrap();
    settle().await;
    assert_eq!(all.lane.batches()[2..], [[7, 8, 9, 10]]);

    let (most, _second, _another, _back) = nearly_back().await;
    advance(Duration::from_millis(1)).await; // what a batch took
    settle().await;
    assert_eq!(most.lane.batches()[2..], [[7, 8, 9]]);
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_the_queue_and_the_batch() {
    let bench = start(LIMITS, double);
    let _busy = bench.occupy().await;
    assert_eq!(bench.submit_sized(1, 1, 401).err(), Some(SubmitError::TooLarge));
    let tickets = [1, 2].map(|r| bench.submit_sized(r, 1, 300).unwrap());
    assert_eq!(bench.submit_sized(3, 1, 300).err(), Some(SubmitError::QueueFull));
    bench.lane.go.add_permits(10);
    for ticket in tickets {
        assert!(resolve(outcome(ticket)).await.is_ok());
    }
    assert_eq!(bench.lane.batches()[2..], [[1], [2]], "300 and 300 bytes do not fit 400");
}

#[tokio::test(start_paused = true)]
async fn a_request_of_several_items_is_never_split() {
    let bench = start(LIMITS, double);
    let _busy = bench.occupy().await;
    assert_eq!(bench.submit_sized(1, 5, 10).err(), Some(SubmitError::TooLarge));
    let tickets = [bench.submit_sized(1, 3, 10), bench.submit_sized(2, 2, 10), bench.submit(3)];
    bench.lane.go.add_permits(10);
    for ticket in tickets {
        assert!(resolve(outcome(ticket.unwrap())).await.is_ok());
    }
    assert_eq!(bench.lane.batches()[2..], [vec![1], vec![2, 3]], "order is kept");
}

#[tokio::test(start_paused = true)]
async fn the_first_request_sets_the_linger_and_a_full_batch_ends_it() {
    let wait = Duration::from_millis(5);
    let bench = start(Limits { batch_wait: wait, ..LIMITS }, double);
    bench.lane.go.add_permits(10);
    let begun = Instant::now();
    let first = bench.submit(1).unwrap();
    advance(Duration::from_millis(3)).await;
    let second = bench.submit(2).unwrap();
    assert_eq!(resolve(outcome(first)).await, Ok(2));
    assert_eq!(resolve(outcome(second)).await, Ok(4));
    assert_eq!(begun.elapsed(), wait);
    let full: Vec<_> = (3..=6).map(|r| bench.submit(r).unwrap()).collect();
    for ticket in full {
        assert!(resolve(outcome(ticket)).await.is_ok());
    }
    assert_eq!(begun.elapsed(), wait, "a full batch does not wait");
    assert_eq!(bench.lane.batches(), [vec![1, 2], vec![3, 4, 5, 6]]);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_down_does_not_keep_work_from_one_that_is_up() {
    for down in [0, 1] {
        let lanes = [Steps::new(double), Steps::new(double)];
        lanes[down].up.send_replace(false);
        let metrics = Metrics::register(&prometheus::Registry::new(), "test").unwrap();
        let (batcher, driver) = Batcher::new(LIMITS, lanes.to_vec(), metrics).unwrap();
        tokio::spawn(driver);
        settle().await;
        lanes[1 - down].go.add_permits(100);
        for request in 0..20 {
            let ticket = batcher.submit(request, claim(1, 10)).unwrap();
            assert_eq!(resolve(outcome(ticket)).await, Ok(request * 2), "lane {down} is down");
        }
        assert_eq!(lanes[down].batches().len(), 0);
    }
}
