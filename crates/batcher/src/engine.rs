//! The engine as a state machine: events come in, each with the time it happens at, and actions come
//! out. It does no I/O, has no clock, and its randomness is seeded by whoever makes it, so that a run
//! can be repeated exactly. `driver` runs it against a database, `simulation` against a model of one.
//!
//! A request is in the queue, in a batch in flight, in a batch that waits to be sent again, or
//! answered: always exactly one of these.
//!
//! | file | decides |
//! | --- | --- |
//! | `admission` | who gets in |
//! | `queue` | who is next, and what each client holds |
//! | `codel` | who has waited too long |
//! | `dispatch` | when a batch leaves, who is in it, and on which lane |
//! | `lanes` | what is in flight on a session, and for how long |
//! | `resends` | what becomes of a batch that failed |
//! | `retry` | how often and how soon a batch is sent again |
//! | `breaker` | when nothing is let in, and how fast it opens up again |
//! | `pace` | how fast it goes, as measured |
//! | `returning` | how many callers may be about to come back |

mod action;
mod admission;
mod breaker;
mod codel;
mod dispatch;
mod failure;
mod lanes;
mod pace;
mod queue;
mod request;
mod resends;
mod retry;
mod returning;

pub(crate) use action::{Action, Sending};
pub use breaker::BreakerState;
pub use failure::Failure;
pub(crate) use failure::Undone;
pub(crate) use queue::Waiting;
pub use request::{Claim, Client, Refused, Size, SubmitError};

use crate::Limits;
use breaker::Breaker;
use codel::CoDel;
use lanes::Lane;
use pace::Pace;
use queue::Queue;
use resends::{Course, Resend, deadline};
use retry::{Backoff, RetryBudget};
use returning::Returning;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// What the database's own state allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pressure {
    /// As much as it can take.
    #[default]
    Accept,
    /// Half the queue.
    Throttle,
    /// Nothing new until it eases.
    Reject,
}

/// Things that happened, to be counted by whoever drives.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) retries: u64,
    pub(crate) divisions: u64,
    pub(crate) watchdogs: u64,
    pub(crate) opened: u64,
    pub(crate) delayed: u64,
    pub(crate) expired: u64,
}

#[derive(Debug)]
struct Flight {
    lane: usize,
    items: usize,
    course: Course,
}

pub(crate) struct Engine<T> {
    limits: Limits,
    random: fastrand::Rng,
    queue: Queue<T>,
    lanes: Vec<Lane>,
    flights: BTreeMap<u64, Flight>,
    resends: VecDeque<Resend<T>>,
    next_batch: u64,
    breaker: Breaker,
    budget: RetryBudget,
    divisions: RetryBudget,
    pace: Pace,
    returning: Returning,
    codel: CoDel,
    pressure: Pressure,
    closed: bool,
    actions: VecDeque<Action<T>>,
    counts: Counts,
}

impl<T> Engine<T> {
    pub(crate) fn new(limits: Limits, lanes: usize, seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            queue: Queue::new(),
            lanes: (0..lanes).map(|_| Lane::new()).collect(),
            flights: BTreeMap::new(),
            resends: VecDeque::new(),
            next_batch: 0,
            breaker: Breaker::new(limits.batch_items),
            budget: RetryBudget::for_repeats(),
            divisions: RetryBudget::for_divisions(),
            pace: Pace::default(),
            returning: Returning::default(),
            codel: CoDel::new(limits.target_wait),
            pressure: Pressure::Accept,
            closed: false,
            actions: VecDeque::new(),
            counts: Counts::default(),
            limits,
        }
    }

    // What callers do.

    /// Admits a request or refuses it, at once. Returns its admission number.
    pub(crate) fn submit(&mut self, now: Instant, claim: Claim, entry: T) -> Result<u64, Refused> {
        self.check(now, &claim)?;
        self.returning.came(now, claim.size.items);
        Ok(self.queue.push(Waiting { entry, claim, admitted: now }))
    }

    /// Takes a request back out, if it is still queued: then it was never sent.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<T> {
        self.queue.remove(number).map(|waiting| waiting.entry)
    }

    // What becomes of sessions and batches.

    pub(crate) fn connected(&mut self, lane: usize) {
        self.lanes[lane].opened();
        self.breaker.probed();
    }

    pub(crate) fn connect_failed(&mut self, now: Instant, lane: usize) {
        self.lanes[lane].down_for_a_while(now, &mut self.random);
        if self.lanes_up() == 0 {
            self.open_breaker(now);
        }
    }

    /// The session ended by itself.
    pub(crate) fn disconnected(&mut self, now: Instant, lane: usize) {
        // Else it was dropped from here already.
        if self.lanes[lane].is_up() {
            let was_working = self.lanes[lane].in_flight() > 0;
            self.lanes[lane].lost(now, &mut self.random);
            if was_working {
                self.count_failure(now);
            }
        }
    }

    pub(crate) fn applied(&mut self, now: Instant, batch: u64) {
        let Some(flight) = self.flights.remove(&batch) else { return };
        let worked = self.lanes[flight.lane].answered(batch, now);
        self.pace.applied(flight.items, worked.unwrap_or_default());
        self.returning.answered(now, flight.items, self.patience());
        if worked.is_some() {
            self.lanes[flight.lane].proven();
        }
        self.breaker.batch_applied();
    }

    // What operators and the end bring.

    pub(crate) fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// Refuses new requests; what was admitted is worked off.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Gives up everything that is not in flight. Returns how many items were still queued, and whom
    /// to tell what.
    pub(crate) fn abandon(&mut self) -> (usize, Vec<(Vec<T>, Undone)>) {
        let items = self.queue.held().items;
        let queued = (entries(self.queue.take_all()), Undone::Abandoned);
        let resends = std::mem::take(&mut self.resends);
        let resends = resends.into_iter().map(|Resend { members, course, .. }| {
            (entries(members), course.ends(Undone::RolledBack))
        });
        (items, std::iter::once(queued).chain(resends).collect())
    }

    // What time brings.

    /// The next thing to do now, if any.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Action<T>> {
        if self.actions.is_empty() {
            self.watch(now);
            self.give_up_late(now);
            self.reconnect(now);
            self.dispatch(now);
        }
        self.actions.pop_front()
    }

    /// When to poll again if nothing happens before.
    pub(crate) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let watchdogs = self.lanes.iter().filter_map(|lane| {
            lane.head_since().filter(|_| lane.is_up()).map(|since| since + self.limits.watchdog)
        });
        let reconnects = self.lanes.iter().filter_map(|lane| lane.retry_at(now));
        let resends = self.resends.iter().flat_map(|resend| [resend.at, deadline(&resend.members)]);
        // Only behind another batch does anything wait for those who may come back.
        let returning = self.returning.changes(now).filter(|_| !self.flights.is_empty());
        let leave = self.leaves_at().into_iter().chain(returning);
        let times = watchdogs.chain(reconnects).chain(resends).chain(leave);
        // What is due already waits for something else: a session, room, or another's attempt.
        times.filter(|at| *at > now).min()
    }

    // What is the case.

    /// Closed, and nothing is left.
    pub(crate) fn is_drained(&self) -> bool {
        self.closed && self.queue.is_empty() && self.is_still() && self.actions.is_empty()
    }

    /// How long the callers of a batch are expected back: as long as a batch usually takes.
    pub(crate) fn patience(&self) -> Duration {
        self.pace.usual().unwrap_or_default()
    }

    pub(crate) fn held(&self) -> Size {
        self.queue.held()
    }

    pub(crate) fn lanes_up(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.is_up()).count()
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    pub(crate) fn retry_tokens(&mut self, now: Instant) -> f64 {
        self.budget.tokens(now)
    }

    /// Everything that was not taken yet.
    pub(crate) fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    fn is_still(&self) -> bool {
        self.flights.is_empty() && self.resends.is_empty()
    }

    /// Batches that may be unanswered at a time.
    fn slots(&self) -> usize {
        self.lanes.len() * self.limits.in_flight
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.is_still()
    }

    /// Batches in flight on one lane, at most.
    fn lane_room(&self) -> usize {
        match self.breaker.state() {
            BreakerState::Closed => self.limits.in_flight,
            BreakerState::HalfOpen | BreakerState::Open => 1,
        }
    }

    // How it does it.

    /// Gives up sessions that do not answer. No time-out of the database or of TCP sees a database that
    /// hangs in its commit.
    fn watch(&mut self, now: Instant) {
        for lane in 0..self.lanes.len() {
            let age = self.lanes[lane].head_age(now);
            if self.lanes[lane].is_up() && age.is_some_and(|age| age >= self.limits.watchdog) {
                self.counts.watchdogs += 1;
                self.drop_session(now, lane);
                // The database hangs: nothing is let in until a session has committed again.
                if self.lanes_up() == 0 {
                    self.open_breaker(now);
                } else {
                    self.count_failure(now);
                }
            }
        }
    }

    /// A session was lost at work, or a batch failed for no fault of its own.
    fn count_failure(&mut self, now: Instant) {
        if self.breaker.batch_failed() {
            self.counts.opened += 1;
            self.drop_all_sessions(now);
        }
    }

    fn open_breaker(&mut self, now: Instant) {
        if self.breaker.open() {
            self.counts.opened += 1;
            self.drop_all_sessions(now);
        }
    }

    fn answer(&mut self, members: Vec<Waiting<T>>, undone: Undone) {
        if !members.is_empty() {
            self.actions.push_back(Action::Answer { entries: entries(members), undone });
        }
    }

    fn drop_session(&mut self, now: Instant, lane: usize) {
        self.lanes[lane].lost(now, &mut self.random);
        self.actions.push_back(Action::Disconnect { lane });
    }

    fn drop_all_sessions(&mut self, now: Instant) {
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].is_up() {
                self.actions.push_back(Action::Disconnect { lane });
                self.lanes[lane].down_for_a_while(now, &mut self.random);
            }
        }
    }
}

fn entries<T>(members: Vec<Waiting<T>>) -> Vec<T> {
    members.into_iter().map(|waiting| waiting.entry).collect()
}
