//! The thin shell around the state machine: carries out its actions, and brings it what becomes of
//! them and the time.

use crate::Lane;
use crate::batcher::{Answer, Entry, Reply, Shared, give_back, put_together, take_apart};
use crate::engine::{Action, Failure, Sending, Waiting};
use crate::mutant::{self, Mutant};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

pub(crate) struct Driver<R, O, L: Lane<R, O>> {
    shared: Arc<Shared<R, O>>,
    lanes: Vec<Arc<L>>,
    sessions: Vec<Option<Arc<L::Session>>>,
    /// Run within the driver's own task: another would have to be woken for each batch, and to wake this one. A
    /// panic in one is a bug that leaves callers deaf: it ends the driver as well. Dropped with this: then the
    /// batches in flight end, and their callers are told "unknown".
    tasks: FuturesUnordered<BoxFuture<'static, Report<R, O, L::Session>>>,
}

/// Callers, and what each is to be told.
type Answers<R, O> = Vec<(oneshot::Sender<Reply<R, O>>, Answer<R, O>)>;

/// What became of an action.
enum Report<R, O, S> {
    Connected { lane: usize, session: Option<S> },
    Ended { lane: usize, session: Arc<S> },
    Applied { batch: u64, answers: Answers<R, O> },
    Failed { batch: u64, members: Vec<Waiting<Entry<R, O>>>, failure: Failure },
}

/// Runs until everything admitted before a close is answered.
pub(crate) async fn drive<R, O, L>(mut driver: Driver<R, O, L>)
where
    R: Send + 'static,
    O: Send + 'static,
    L: Lane<R, O>,
{
    loop {
        let (wake_at, drained) = driver.act();
        if drained {
            return;
        }
        let woken = driver.shared.wake.notified();
        let wait = async {
            match wake_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(report) = driver.tasks.next() => driver.take(report),
            () = woken => {}
            () = wait => {}
        }
    }
}

impl<R, O, L> Driver<R, O, L>
where
    R: Send + 'static,
    O: Send + 'static,
    L: Lane<R, O>,
{
    pub(crate) fn new(shared: Arc<Shared<R, O>>, lanes: Vec<Arc<L>>) -> Self {
        let sessions = lanes.iter().map(|_| None).collect();
        Self { shared, lanes, sessions, tasks: FuturesUnordered::new() }
    }

    /// Does what is to be done now. Returns when to look again, and whether that was all.
    fn act(&mut self) -> (Option<Instant>, bool) {
        let now = Instant::now();
        loop {
            let shared = self.shared.clone();
            let mut engine = shared.engine();
            let Some(action) = engine.poll(now) else {
                shared.metrics.observe(now, &mut engine);
                return (engine.next_wake(now), engine.is_drained());
            };
            drop(engine);
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action<Entry<R, O>>) {
        match action {
            Action::Connect { lane } => {
                let opener = self.lanes[lane].clone();
                self.tasks.push(Box::pin(async move {
                    Report::Connected { lane, session: opener.connect().await }
                }));
            }
            Action::Disconnect { lane } => {
                if let Some(session) = self.sessions[lane].take() {
                    self.lanes[lane].disconnect(&session);
                }
            }
            Action::Send(sending) => self.send(sending),
            Action::Answer { entries, undone } => give_back(entries, undone),
        }
    }

    fn send(&mut self, sending: Sending<Entry<R, O>>) {
        let Sending { lane, batch, members, not_after } = sending;
        let Some(session) = self.sessions[lane].clone() else {
            // The engine sends only on lanes that it was told are connected.
            unreachable!("a batch was sent on a lane without a session");
        };
        let metrics = self.shared.metrics.clone();
        let lane = self.lanes[lane].clone();
        let watchdog = self.shared.limits.watchdog;
        self.tasks.push(Box::pin(async move {
            let in_flight = metrics.dispatched(&members);
            let (requests, callers) = take_apart(members);
            let sent = tokio::select! {
                biased;
                sent = lane.send(&session, &requests, not_after) => sent,
                () = lane.ended(&session) => Err(Failure::Unknown),
                () = mutant::impatience(watchdog) => Err(Failure::Unknown),
            };
            drop(in_flight);
            match sent {
                Ok(mut outcomes) if outcomes.len() == requests.len() => {
                    if mutant::is(Mutant::SwapResults) && outcomes.len() > 1 {
                        outcomes.swap(0, 1);
                    }
                    let outcomes = requests.into_iter().zip(outcomes);
                    let answers = callers.into_iter().zip(outcomes);
                    let answers = answers.map(|((reply, ..), (request, outcome))| {
                        (reply, Answer::Applied(request, outcome))
                    });
                    Report::Applied { batch, answers: answers.collect() }
                }
                Ok(outcomes) => {
                    let (requested, answered) = (requests.len(), outcomes.len());
                    tracing::error!(requested, answered, "a lane gave a wrong number of outcomes");
                    let members = put_together(requests, callers);
                    Report::Failed { batch, members, failure: Failure::Unknown }
                }
                Err(failure) => {
                    Report::Failed { batch, members: put_together(requests, callers), failure }
                }
            }
        }));
    }

    fn take(&mut self, report: Report<R, O, L::Session>) {
        let now = Instant::now();
        let shared = self.shared.clone();
        match report {
            Report::Connected { lane, session: Some(session) } => {
                let session = Arc::new(session);
                self.sessions[lane] = Some(session.clone());
                let watched = self.lanes[lane].clone();
                self.tasks.push(Box::pin(async move {
                    watched.ended(&session).await;
                    Report::Ended { lane, session }
                }));
                shared.engine().connected(lane);
            }
            Report::Connected { lane, session: None } => shared.engine().connect_failed(now, lane),
            Report::Ended { lane, session } => {
                let current = self.sessions[lane].take_if(|current| Arc::ptr_eq(current, &session));
                // Else it was dropped by us, and there may be a new one.
                if current.is_some() {
                    shared.engine().disconnected(now, lane);
                }
            }
            Report::Applied { batch, answers } => {
                // Before its callers come back.
                shared.engine().applied(now, batch);
                for (reply, answer) in answers {
                    // An error: the caller has left.
                    let _ = reply.send(Ok(answer));
                }
            }
            Report::Failed { batch, members, failure } => {
                shared.engine().failed(now, batch, members, failure);
            }
        }
    }
}
