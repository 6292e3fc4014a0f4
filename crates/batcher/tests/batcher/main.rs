//! What the batcher promises, under paused time and against a lane driven by hand.

mod closing;
mod failing;
mod leaving;
mod waiting;

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
