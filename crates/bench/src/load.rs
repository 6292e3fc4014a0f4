//! The connections of a run: each sends a request when [`Control::next`] says so, and waits for
//! its answer.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::accounts::Accounts;
use crate::client::{Client, Failure};
use crate::control::{Control, Start};
use crate::outcome::{self, Outcome, Outcomes};
use crate::recorder::Kind;
use crate::requests::{Request, Requests};
use crate::tally::{self, Tally};
use crate::{BenchError, Options};

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
    let mut total = Tally::default();
    while let Some(tally) = workers.join_next().await {
        total.add(tally??);
    }
    Ok(total)
}

/// A refused request comes back no later: so long may the end of a run take.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

struct Worker {
    client: Client,
    control: Arc<Control>,
    requests: Requests,
    /// The outcomes of the last answer.
    outcomes: Vec<Outcome>,
    tally: Tally,
}

impl Worker {
    fn new(options: &Options, accounts: &Accounts, control: &Arc<Control>, index: u64) -> Self {
        Self {
            client: Client::new(accounts.target.clone(), options.request_timeout),
            control: Arc::clone(control),
            requests: Requests::new(options, accounts, index),
            outcomes: Vec::new(),
            tally: Tally::default(),
        }
    }

    async fn run(mut self) -> Result<Tally, BenchError> {
        while let Some(start) = self.control.next().await {
            let request = self.requests.next();
            let (answer, started) = self.exchange(&request, start).await?;
            let kind = match answer {
                Ok(status) if request.kind == Kind::Read => self.read(&request, status),
                Ok(status) => self.answered(request.kind, status),
                Err(failure) => self.failed(&failure),
            };
            self.control.record(kind, started);
            // As clients should. In an open loop, others come meanwhile.
            if matches!((start, kind), (Start::Now, Kind::Refused)) {
                let told = outcome::retry_after(self.client.reply()).unwrap_or_default();
                sleep(told.min(RETRY_AFTER_MAX)).await;
            }
        }
        self.tally.reconnects = self.client.reconnects();
        Ok(self.tally)
    }

    /// Sends a request, and says when its time began. It goes out again, on a new connection,
    /// when it surely was not sent.
    async fn exchange(
        &mut self,
        request: &Request,
        start: Start,
    ) -> Result<(Result<StatusCode, Failure>, Instant), BenchError> {
        loop {
            self.client.connect().await?;
            let started = match start {
                Start::Now => Instant::now(),
                Start::Intended(intended) => intended,
            };
            let Request { method, uri, body, .. } = request.clone();
            match self.client.request(method, uri, body).await {
                Err(Failure::NotSent) if !self.control.is_over() => {}
                answer => return Ok((answer, started)),
            }
        }
    }

    /// Counts the answer to a read. Only what is there is ever read.
    fn read(&mut self, request: &Request, status: StatusCode) -> Kind {
        let found = status == StatusCode::OK;
        let refused = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        if self.control.is_measured() {
            self.tally.requests += 1;
            self.tally.reads.answered += u64::from(found);
            self.tally.reads.refused += u64::from(refused);
        }
        if !found && !refused {
            self.tally.lost_reads += 1;
            let example = || tally::example(status, self.client.reply(), &[]);
            self.tally.first_lost.get_or_insert_with(|| format!("{} {}", request.uri, example()));
        }
        if found { Kind::Read } else { Kind::Refused }
    }

    /// Counts the answer to transfers.
    fn answered(&mut self, kind: Kind, status: StatusCode) -> Kind {
        outcome::scan(self.client.reply(), &mut self.outcomes);
        let items = self.requests.items();
        if self.outcomes.len() == 1 && status != StatusCode::OK {
            // A request refused as a whole has one outcome for all its items.
            self.outcomes.resize(items, self.outcomes[0]);
        }
        let mut counted = Outcomes::default();
        if self.outcomes.len() == items {
            self.outcomes.iter().for_each(|outcome| counted.count(*outcome));
        } else {
            self.tally.unreadable += 1;
            self.outcomes.clear();
            self.outcomes.resize(items, Outcome::Unknown);
        }
        self.requests.settle(self.outcomes.iter().copied(), &self.control.books);
        if counted.applied < items as u64 && self.tally.first_other.is_none() {
            let example = tally::example(status, self.client.reply(), &self.outcomes);
            self.tally.first_other = Some(example);
        }
        self.control.add_applied(counted.applied);
        if self.control.is_measured() {
            self.tally.requests += 1;
            self.tally.outcomes.add(&counted);
        }
        if counted.not_applied == items as u64 { Kind::Refused } else { kind }
    }

    /// Counts a request without an answer.
    fn failed(&mut self, failure: &Failure) -> Kind {
        let outcome = match failure {
            Failure::NotSent => Outcome::NotApplied,
            Failure::TimedOut(_) => {
                self.tally.timeouts += 1;
                Outcome::Unknown
            }
            Failure::Broken(_) => {
                self.tally.broken += 1;
                Outcome::Unknown
            }
        };
        self.requests.settle(std::iter::repeat(outcome), &self.control.books);
        Kind::Unanswered
    }
}
