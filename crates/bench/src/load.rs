//! The closed loop: each connection sends its next request when the last one is answered.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;
use hyper::{Method, StatusCode, Uri};
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::accounts::{Accounts, excerpt};
use crate::client::{Client, Failure};
use crate::ids::Role;
use crate::outcome::{self, Outcome, Outcomes};
use crate::{BenchError, Options};

const LARGEST_AMOUNT: u64 = 100;

// The phases of a run; the warm-up is 0, the value a run begins with.
const MEASURED: u8 = 1;
const OVER: u8 = 2;

/// What all connections of a run look at, and where they say how far they are.
#[derive(Debug, Default)]
pub(crate) struct Control {
    phase: AtomicU8,
    applied: AtomicU64,
}

impl Control {
    /// Begins the measured window.
    pub(crate) fn measure(&self) {
        self.phase.store(MEASURED, Ordering::Relaxed);
    }

    /// Ends the measured window. Requests under way are still waited for.
    pub(crate) fn stop(&self) {
        self.phase.store(OVER, Ordering::Relaxed);
    }

    /// Transfers applied so far, warm-up included.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }
}

/// What was counted. The first three fields cover the answers that came in the measured window,
/// the others the whole run.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Time from sending a request to the end of its answer, in microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) requests: u64,
    pub(crate) outcomes: Outcomes,
    /// Sum of the amounts answered `applied`.
    pub(crate) acknowledged: u128,
    /// Sum of the amounts with an unknown outcome.
    pub(crate) unknown: u128,
    pub(crate) unreadable: u64,
    pub(crate) timeouts: u64,
    pub(crate) broken: u64,
    pub(crate) reconnects: u64,
    /// The first answer that was not `applied`.
    pub(crate) first_other: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency: Histogram::new(3).expect("three digits are valid"),
            requests: 0,
            outcomes: Outcomes::default(),
            acknowledged: 0,
            unknown: 0,
            unreadable: 0,
            timeouts: 0,
            broken: 0,
            reconnects: 0,
            first_other: None,
        }
    }

    fn add(&mut self, other: Self) {
        self.latency.add(other.latency).expect("the histogram grows as needed");
        self.requests += other.requests;
        self.outcomes.add(&other.outcomes);
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.unreadable += other.unreadable;
        self.timeouts += other.timeouts;
        self.broken += other.broken;
        self.reconnects += other.reconnects;
        self.first_other = self.first_other.take().or(other.first_other);
    }
}

/// Starts one task for each connection. They run until [`Control::stop`].
pub(crate) fn start(
    options: &Options,
    accounts: &Accounts,
    control: &Arc<Control>,
) -> JoinSet<Result<Tally, BenchError>> {
    let mut workers = JoinSet::new();
    for index in 0..options.connections {
        workers.spawn(Worker::new(options, accounts, control, index as u64).run());
    }
    workers
}

/// Waits for all connections and adds up what they counted. The first error ends all of them.
pub(crate) async fn finish(
    mut workers: JoinSet<Result<Tally, BenchError>>,
) -> Result<Tally, BenchError> {
    let mut total = Tally::new();
    while let Some(tally) = workers.join_next().await {
        total.add(tally??);
    }
    Ok(total)
}

struct Worker {
    client: Client,
    accounts: Accounts,
    control: Arc<Control>,
    random: fastrand::Rng,
    uri: Uri,
    bulk: bool,
    /// The amounts of the request under way.
    amounts: Vec<u64>,
    /// The outcomes of the last answer.
    outcomes: Vec<Outcome>,
    body: BytesMut,
    tally: Tally,
}

impl Worker {
    fn new(options: &Options, accounts: &Accounts, control: &Arc<Control>, index: u64) -> Self {
        let bulk = options.is_bulk();
        Self {
            client: Client::new(accounts.target.clone(), options.request_timeout),
            accounts: accounts.clone(),
            control: Arc::clone(control),
            random: fastrand::Rng::with_seed(options.seed.rotate_left(32) ^ index),
            uri: Uri::from_static(if bulk { "/transfers" } else { "/transfer" }),
            bulk,
            amounts: vec![0; options.transfers_per_request()],
            outcomes: Vec::new(),
            body: BytesMut::new(),
            tally: Tally::new(),
        }
    }

    async fn run(mut self) -> Result<Tally, BenchError> {
        while self.control.phase.load(Ordering::Relaxed) != OVER {
            self.client.connect().await?;
            let body = self.next_body();
            let sent = Instant::now();
            match self.client.request(Method::POST, self.uri.clone(), body).await {
                Ok(status) => self.answered(status, sent),
                Err(Failure::NotSent) => {}
                Err(Failure::TimedOut(_)) => {
                    self.tally.timeouts += 1;
                    self.tally.unknown += self.amount();
                }
                Err(Failure::Broken(_)) => {
                    self.tally.broken += 1;
                    self.tally.unknown += self.amount();
                }
            }
        }
        self.tally.reconnects = self.client.reconnects();
        Ok(self.tally)
    }

    /// Draws the transfers of the next request.
    fn next_body(&mut self) -> Bytes {
        let Self { accounts, random, amounts, body, .. } = self;
        let ledger = accounts.ids.ledger;
        for (position, amount) in amounts.iter_mut().enumerate() {
            *amount = random.u64(1..=LARGEST_AMOUNT);
            if self.bulk {
                body.extend_from_slice(if position == 0 { b"[" } else { b"," });
            }
            let id = Uuid::now_v7();
            let debit = accounts.ids.id(Role::Hot, random.u64(..accounts.hot));
            let credit = accounts.ids.id(Role::Cold, random.u64(..accounts.cold));
            // Writing to a `BytesMut` cannot fail: it grows.
            let _ = write!(
                body,
                r#"{{"id":"{id}","ledger":{ledger},"debit_account":"{debit}","credit_account":"{credit}","amount":"{amount}","code":1}}"#
            );
        }
        if self.bulk {
            body.extend_from_slice(b"]");
        }
        body.split().freeze()
    }

    /// Counts an answer.
    fn answered(&mut self, status: StatusCode, sent: Instant) {
        outcome::scan(self.client.reply(), &mut self.outcomes);
        let items = self.amounts.len();
        if self.outcomes.len() == 1 && status != StatusCode::OK {
            // A request refused as a whole has one outcome for all its items.
            self.outcomes.resize(items, self.outcomes[0]);
        }
        let readable = self.outcomes.len() == items;
        let mut counted = Outcomes::default();
        if readable {
            for (outcome, amount) in self.outcomes.iter().zip(&self.amounts) {
                counted.count(*outcome);
                match outcome {
                    Outcome::Applied => self.tally.acknowledged += u128::from(*amount),
                    Outcome::Unknown => self.tally.unknown += u128::from(*amount),
                    Outcome::Rejected | Outcome::NotApplied => {}
                }
            }
        } else {
            self.tally.unreadable += 1;
            self.tally.unknown += self.amount();
        }
        if counted.applied < items as u64 && self.tally.first_other.is_none() {
            self.tally.first_other = Some(self.example(status));
        }
        self.control.applied.fetch_add(counted.applied, Ordering::Relaxed);

        if self.control.phase.load(Ordering::Relaxed) == MEASURED {
            let microseconds = sent.elapsed().as_micros() as u64;
            self.tally.latency.record(microseconds).expect("the histogram grows as needed");
            self.tally.requests += 1;
            self.tally.outcomes.add(&counted);
        }
    }

    /// The last answer, or what it says of the first transfer that was not applied.
    fn example(&self, status: StatusCode) -> String {
        let reply = self.client.reply();
        let items: Vec<&RawValue> = serde_json::from_slice(reply).unwrap_or_default();
        let other = self.outcomes.iter().position(|outcome| *outcome != Outcome::Applied);
        let item = other.and_then(|position| items.get(position));
        format!("{status} {}", excerpt(item.map_or(reply, |item| item.get().as_bytes())))
    }

    /// Sum of the amounts of the request under way.
    fn amount(&self) -> u128 {
        self.amounts.iter().copied().map(u128::from).sum()
    }
}
