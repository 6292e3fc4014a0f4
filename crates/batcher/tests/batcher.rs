//! What the batcher promises, under paused time and against a lane driven by hand.

use giro_batcher::{
    Answer, Batcher, Claim, Client, Failure, Lane, Limits, Metrics, Pressure, Size, SubmitError,
    Ticket, TicketError,
};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, timeout};

type Sent = Result<Vec<u32>, Failure>;

/// A lane that notes what it was given, and answers each batch when a permit is added.
struct Steps {
    seen: Mutex<Vec<(Instant, Vec<u32>)>>,
    go: Semaphore,
    up: watch::Sender<bool>,
    connects: Semaphore,
    answer: fn(Vec<u32>) -> Sent,
}

impl Steps {
    fn new(answer: fn(Vec<u32>) -> Sent) -> Arc<Self> {
        let (up, connects) = (watch::Sender::new(true), Semaphore::new(0));
        Arc::new(Self { seen: Mutex::default(), go: Semaphore::new(0), up, connects, answer })
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.seen.lock().unwrap().iter().map(|(_, batch)| batch.clone()).collect()
    }
}

impl Lane<u32, u32> for Steps {
    type Session = watch::Sender<bool>;

    async fn connect(&self) -> Option<Self::Session> {
        self.connects.add_permits(1);
        self.up.subscribe().wait_for(|up| *up).await.unwrap();
        Some(watch::Sender::new(true))
    }

    async fn send(&self, _: &Self::Session, requests: &[u32], _: Instant) -> Sent {
        self.seen.lock().unwrap().push((Instant::now(), requests.to_vec()));
        self.go.acquire().await.unwrap().forget();
        (self.answer)(requests.to_vec())
    }

    async fn ended(&self, session: &Self::Session) {
        let (mut session, mut lane) = (session.subscribe(), self.up.subscribe());
        tokio::select! {
            _ = session.wait_for(|up| !*up) => {}
            _ = lane.wait_for(|up| !*up) => {}
        }
    }

    fn disconnect(&self, session: &Self::Session) {
        session.send_replace(false);
    }
}

async fn outcome(ticket: Ticket<u32, u32>) -> Result<u32, TicketError> {
    match ticket.answer().await? {
        Answer::Applied(_, outcome) => Ok(outcome),
        Answer::Poisoned(request) => panic!("{request} is poisoned"),
    }
}

fn claim(items: usize, bytes: usize) -> Claim {
    let deadline = Instant::now() + Duration::from_secs(2);
    Claim { size: Size { items, bytes }, client: Client(0), deadline }
}

fn double(requests: Vec<u32>) -> Sent {
    Ok(requests.into_iter().map(|r| r * 2).collect())
}

const LIMITS: Limits = Limits {
    queue_items: 8,
    queue_bytes: 800,
    target_wait: Duration::from_secs(10),
    queue_wait: Duration::from_secs(10),
    batch_items: 4,
    batch_bytes: 400,
    batch_wait: Duration::ZERO,
    in_flight: 2,
    watchdog: Duration::from_secs(60),
};

struct Bench {
    lane: Arc<Steps>,
    batcher: Batcher<u32, u32>,
    metrics: Metrics,
    worker: JoinHandle<()>,
}

fn start(limits: Limits, answer: fn(Vec<u32>) -> Sent) -> Bench {
    let lane = Steps::new(answer);
    let metrics = Metrics::register(&prometheus::Registry::new(), "test").unwrap();
    let (batcher, driver) = Batcher::new(limits, vec![lane.clone()], metrics.clone()).unwrap();
    let worker = tokio::spawn(driver);
    Bench { lane, batcher, metrics, worker }
}

impl Bench {
    fn submit(&self, request: u32) -> Result<Ticket<u32, u32>, SubmitError> {
        self.submit_sized(request, 1, 10)
    }

    fn submit_sized(
        &self,
        request: u32,
        items: usize,
        bytes: usize,
    ) -> Result<Ticket<u32, u32>, SubmitError> {
        self.batcher.submit(request, claim(items, bytes)).map_err(|refused| refused.reason)
    }

    /// Has one batch applied, from which the batcher learns how much may be queued.
    async fn warm_up(&self) {
        let first = self.submit(100).unwrap();
        settle().await;
        advance(Duration::from_millis(1)).await;
        self.lane.go.add_permits(1);
        resolve(outcome(first)).await.unwrap();
        settle().await;
        self.lane.seen.lock().unwrap().clear();
    }

    /// Fills every slot with one request each, so that what follows is queued.
    async fn occupy(&self) -> Vec<Ticket<u32, u32>> {
        self.occupy_with([101, 102]).await
    }

    async fn occupy_with(&self, requests: [u32; 2]) -> Vec<Ticket<u32, u32>> {
        self.warm_up().await;
        let mut tickets = Vec::new();
        for request in requests {
            tickets.push(self.submit(request).unwrap());
            settle().await;
        }
        assert_eq!(self.lane.batches(), requests.map(|request| [request]));
        tickets
    }
}

/// Lets every task that can run do so; paused time does not move.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn resolve<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(60), future).await.expect("every wait ends")
}

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

#[tokio::test(start_paused = true)]
async fn giving_up_a_worker_tells_the_callers_in_flight() {
    let bench = start(LIMITS, double);
    let busy = bench.occupy().await;
    bench.worker.abort();
    for ticket in busy {
        assert_eq!(resolve(outcome(ticket)).await, Err(TicketError::Unknown));
    }
}

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
