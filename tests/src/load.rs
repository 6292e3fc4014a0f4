//! Callers that send transfers with known ids and keep every answer.
//!
//! What an id asks for follows from the id, so that the [`History`] of a run can be compared with what
//! is stored, and any id can be sent again.

mod history;

pub use history::{History, Settled};

use crate::client::Connection;
use crate::{Client, Reply, TestDatabase, eventually};
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The account that cannot pay: every transfer from it is refused for good.
const POOR: u64 = 9;
/// Ids of one caller.
const EACH: u64 = 1_000_000;
/// What a test sends beside a load; no part of its history.
pub const BESIDE: u64 = u64::MAX;

/// What one attempt was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// 200
    Applied,
    /// 422, with its reason.
    Rejected(String),
    /// 429 or 503, with its reason; or there was no server to connect to.
    NotApplied(String),
    /// 504
    Unknown,
    /// The connection ended without an answer.
    Cut(String),
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of the transfer.
    pub id: u64,
    /// What was answered.
    pub told: Told,
    /// When it was sent.
    pub sent: Instant,
    /// When it was answered.
    pub answered: Instant,
}

/// How requests arrive.
#[derive(Debug, Clone, Copy)]
pub enum Arrivals {
    /// So many callers, each of which waits for its answer before it sends the next transfer.
    Callers(u64),
    /// So many new transfers a second, however long the answers take.
    PerSecond(u64),
}

/// What callers do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How new transfers come.
    pub arrivals: Arrivals,
    /// The deadline that each attempt names.
    pub deadline: Duration,
    /// Attempts in a row for a transfer that is not decided, without any wait between them.
    pub attempts: u32,
}

impl Plan {
    /// Callers that wait for long and never try again.
    pub fn patient(callers: u64) -> Self {
        let deadline = Duration::from_secs(20);
        Self { arrivals: Arrivals::Callers(callers), deadline, attempts: 1 }
    }

    /// The same with another deadline.
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}

/// Callers at work.
pub struct Load {
    /// Where they send to; nothing ends them.
    client: watch::Sender<Option<Client>>,
    decided: Arc<AtomicU64>,
    running: JoinHandle<Vec<Answer>>,
}

/// What an id asks for.
pub fn transfer(id: u64) -> Value {
    // Every tenth, wherever a caller begins.
    let debit = if (id / EACH + id) % 10 == 7 { POOR } else { 1 + id % 3 };
    json!({"id": id, "debit_account": debit, "credit_account": 4 + id % 5, "amount": 1 + id % 9})
}

/// Creates the accounts that the transfers name.
pub async fn accounts(client: Client) {
    let flags = |id| if id == POOR { json!(["debits_must_not_exceed_credits"]) } else { json!([]) };
    let accounts: Vec<_> = (1..=POOR).map(|id| json!({"id": id, "flags": flags(id)})).collect();
    let reply = client.post("/accounts", &json!(accounts)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

impl Load {
    /// Creates the accounts and sets the callers to work.
    pub async fn start(client: Client, plan: Plan) -> Self {
        accounts(client).await;
        let (target, targets) = watch::channel(Some(client));
        let decided = Arc::new(AtomicU64::new(0));
        let caller = Caller { plan, targets, decided: decided.clone() };
        Self { client: target, decided, running: tokio::spawn(caller.all()) }
    }

    /// Sends what comes from now on to another server.
    pub fn turn_to(&self, client: Client) {
        self.client.send_replace(Some(client));
    }

    /// Waits until so many more transfers are applied or refused for good.
    pub async fn decides(&self, more: u64) {
        let enough = self.decided() + more;
        eventually("transfers are decided", async || self.decided() >= enough).await;
    }

    /// Waits until so many transfers are decided within a second; how long that took.
    pub async fn reaches(&self, per_second: u64) -> Duration {
        let started = Instant::now();
        loop {
            let before = self.decided();
            sleep(Duration::from_secs(1)).await;
            let rate = self.decided() - before;
            if rate >= per_second {
                return started.elapsed() - Duration::from_secs(1);
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{rate} a second after a minute");
        }
    }

    fn decided(&self) -> u64 {
        self.decided.load(Ordering::Relaxed)
    }

    /// Sends nothing new, and waits for the answers that are due.
    pub async fn stop(self) -> History {
        self.client.send_replace(None);
        History { answers: self.running.await.expect("the callers") }
    }

    /// Stops, and asserts that every answer was true: see [`History::assert_truth`].
    pub async fn assert_truth(self, database: &TestDatabase, client: Client) -> (History, Settled) {
        let history = self.stop().await;
        let settled = history.assert_truth(database, client).await;
        (history, settled)
    }
}

#[derive(Clone)]
struct Caller {
    plan: Plan,
    targets: watch::Receiver<Option<Client>>,
    decided: Arc<AtomicU64>,
}

impl Caller {
    async fn all(self) -> Vec<Answer> {
        let mut callers = JoinSet::new();
        match self.plan.arrivals {
            Arrivals::Callers(callers_at_once) => {
                for number in 0..callers_at_once {
                    callers.spawn(self.clone().one_after_another(number));
                }
            }
            Arrivals::PerSecond(rate) => {
                let mut tick = interval(Duration::from_secs(1) / rate as u32);
                tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
                for id in 1.. {
                    tick.tick().await;
                    if self.target().is_none() {
                        break;
                    }
                    let caller = self.clone();
                    callers.spawn(async move { caller.decide(id, &mut None).await });
                }
            }
        }
        callers.join_all().await.into_iter().flatten().collect()
    }

    async fn one_after_another(self, number: u64) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut kept = None;
        for n in 1.. {
            if self.target().is_none() {
                break;
            }
            let told = self.decide(number * EACH + n, &mut kept).await;
            let last = told.last().map(|answer| answer.told.clone());
            answers.extend(told);
            match last {
                Some(Told::Applied | Told::Rejected(_)) => {}
                Some(Told::NotApplied(reason)) if reason == "draining" => {
                    self.goes_elsewhere().await
                }
                // A caller that is refused at once would only keep the machine busy.
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
        answers
    }

    /// Waits until there is another server to send to, or nothing more to be sent.
    async fn goes_elsewhere(&self) {
        let mut targets = self.targets.clone();
        let draining = self.target();
        // An error: the load is gone, and so is this caller soon.
        let _ = targets.wait_for(|target| *target != draining).await;
    }

    /// Sends a transfer until it is decided, or as often as the plan has it.
    async fn decide(&self, id: u64, kept: &mut Option<Kept>) -> Vec<Answer> {
        let mut answers = Vec::new();
        for _ in 0..self.plan.attempts {
            let Some(client) = self.target() else { break };
            let sent = Instant::now();
            let told = self.attempt(client, id, kept).await;
            answers.push(Answer { id, told, sent, answered: Instant::now() });
            if is_decided(&answers) {
                self.decided.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        answers
    }

    async fn attempt(&self, client: Client, id: u64, kept: &mut Option<Kept>) -> Told {
        let mut kept_now = match kept.take().filter(|kept| kept.client == client) {
            Some(kept) => kept,
            None => match client.connect().await {
                Ok(connection) => Kept { client, connection },
                Err(_) => return Told::NotApplied("no server".into()),
            },
        };
        let deadline = self.plan.deadline.as_millis().to_string();
        let headers = [("content-type", "application/json"), ("request-timeout-ms", &deadline)];
        let body = transfer(id).to_string();
        match kept_now.connection.send(Method::POST, "/transfer", &headers, &body).await {
            Ok(reply) => {
                if reply.header("connection") != "close" {
                    *kept = Some(kept_now);
                }
                told(&reply)
            }
            Err(error) => Told::Cut(error),
        }
    }

    fn target(&self) -> Option<Client> {
        *self.targets.borrow()
    }
}

/// Whether the last attempt says what became of the transfer for good.
fn is_decided(answers: &[Answer]) -> bool {
    answers.last().is_some_and(|last| matches!(last.told, Told::Applied | Told::Rejected(_)))
}

/// A connection that was answered on.
struct Kept {
    client: Client,
    connection: Connection,
}

/// Reads an answer; status and outcome have to agree.
pub fn told(reply: &Reply) -> Told {
    let reason = || reply.reason().to_owned();
    match (reply.status.as_u16(), reply.outcome()) {
        (200, "applied") => Told::Applied,
        (422, "rejected") => Told::Rejected(reason()),
        (429 | 503, "not_applied") => {
            assert_ne!(reply.header("retry-after"), "", "{}", reply.text);
            Told::NotApplied(reason())
        }
        (504, "unknown") => Told::Unknown,
        _ => panic!("{}: {}", reply.status, reply.text),
    }
}
