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
//! | `lanes` | where a batch goes, and when a session is given up |
//! | `retry` | how often and how soon a batch is sent again |
//! | `breaker` | when nothing is let in, and how fast it opens up again |
//! | `pace` | how fast it goes, as measured |

mod admission;
mod breaker;
mod codel;
mod lanes;
mod pace;
mod queue;
mod retry;

pub use breaker::BreakerState;
pub(crate) use queue::Waiting;

use crate::Limits;
use breaker::Breaker;
use codel::CoDel;
use lanes::Lane;
use pace::Pace;
use queue::Queue;
use retry::{Backoff, RetryBudget};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Sends of one batch that was rolled back each time.
const SENDS_MAX: u32 = 3;

/// Between two sends of a batch.
const RESEND_FIRST: Duration = Duration::from_millis(10);
const RESEND_MAX: Duration = Duration::from_secs(1);

/// What a request takes of the queue's and a batch's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Items, at least 1: a request of several is never split over batches.
    pub items: usize,
    /// Bytes it holds while it waits.
    pub bytes: usize,
}

/// Who sends a request; equal for all requests of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(pub u64);

/// What a request asks of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// How large it is.
    pub size: Size,
    /// Whose it is.
    pub client: Client,
    /// When its caller stops waiting.
    pub deadline: Instant,
}

/// Why a request was not admitted. It never ran and never will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// The queue is full.
    QueueFull,
    /// It would wait for too long.
    QueueDelay,
    /// It would not be answered before its deadline.
    Deadline,
    /// Others wait as well, and this client holds more than its share.
    ClientShare,
    /// The database is away.
    BreakerOpen,
    /// The batcher is closed and works off what it has admitted.
    Draining,
    /// More items or bytes than one batch may hold.
    TooLarge,
}

/// A refusal, and when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: SubmitError,
    /// Spread at random, so that those refused together do not come back together.
    pub retry_after: Duration,
}

/// What a failed send proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Rolled back: a concurrent batch has just decided one of its ids. The next send sees that.
    Overtaken,
    /// Rolled back: other sessions were in its way.
    Contended,
    /// Rolled back: somebody holds a lock that one of the requests needs.
    Locked,
    /// Rolled back: the database lacks time, memory or disk for it.
    Exhausted,
    /// Rolled back, and likely to pass on another session.
    WrongSession,
    /// Rolled back: something in one of the requests cannot be applied.
    Poisoned,
    /// Rolled back, as every other batch would be.
    Broken,
    /// It may have been applied, or may still be. The session is not to be used again.
    Unknown,
}

/// Why a request is given back instead of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// Not sent before its deadline.
    Deadline,
    /// Queued for too long.
    QueueDelay,
    /// Still queued when the batcher was given up.
    Abandoned,
    /// Sent and rolled back.
    RolledBack,
    /// Sent alone, and rolled back for what is in it.
    Poisoned,
    /// Sent, and its result was not learnt.
    Unknown,
}

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

/// What to do. Actions are in the order they are to be begun.
#[derive(Debug)]
pub(crate) enum Action<T> {
    /// Open a session and prove it by an empty batch; report `connected` or `connect_failed`.
    Connect { lane: usize },
    /// Drop the session: every send on it ends, its result unknown.
    Disconnect { lane: usize },
    /// Send a batch behind those in flight on its lane; report `applied` or `failed`.
    Send(Sending<T>),
    /// Tell the callers.
    Answer { entries: Vec<T>, undone: Undone },
}

/// A batch that leaves.
#[derive(Debug)]
pub(crate) struct Sending<T> {
    pub(crate) lane: usize,
    pub(crate) batch: u64,
    pub(crate) members: Vec<Waiting<T>>,
    /// It must not be applied past this moment: by then nobody listens.
    pub(crate) not_after: Instant,
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

/// The history of a batch, over all its sends.
#[derive(Debug, Clone)]
struct Course {
    rollbacks: u32,
    in_doubt: bool,
    backoff: Backoff,
}

impl Course {
    /// What its callers are told when it ends like this.
    fn ends(&self, undone: Undone) -> Undone {
        if self.in_doubt { Undone::Unknown } else { undone }
    }
}

#[derive(Debug)]
struct Flight {
    lane: usize,
    items: usize,
    course: Course,
}

#[derive(Debug)]
struct Resend<T> {
    at: Instant,
    members: Vec<Waiting<T>>,
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
    pace: Pace,
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
            budget: RetryBudget::new(),
            pace: Pace::default(),
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
        if !self.lanes.iter().any(Lane::is_up) && self.breaker.open() {
            self.counts.opened += 1;
        }
    }

    /// The session ended by itself.
    pub(crate) fn disconnected(&mut self, now: Instant, lane: usize) {
        self.lanes[lane].down(now);
    }

    pub(crate) fn applied(&mut self, now: Instant, batch: u64) {
        let Some(flight) = self.flights.remove(&batch) else { return };
        let worked = self.lanes[flight.lane].answered(batch, now);
        self.pace.applied(flight.items, worked.unwrap_or_default());
        if self.breaker.batch_applied() {
            self.lanes.iter_mut().for_each(Lane::settled);
        }
    }

    pub(crate) fn failed(
        &mut self,
        now: Instant,
        batch: u64,
        members: Vec<Waiting<T>>,
        failure: Failure,
    ) {
        let Some(Flight { lane, mut course, .. }) = self.flights.remove(&batch) else { return };
        let same_session = self.lanes[lane].answered(batch, now).is_some();
        if same_session && matches!(failure, Failure::Unknown | Failure::WrongSession) {
            self.drop_session(now, lane);
        }
        if matches!(failure, Failure::Unknown | Failure::Exhausted | Failure::Broken)
            && self.breaker.batch_failed()
        {
            self.counts.opened += 1;
            self.drop_all_sessions(now);
        }
        match failure {
            Failure::Unknown => course.in_doubt = true,
            Failure::Poisoned | Failure::Overtaken => {}
            _ => course.rollbacks += 1,
        }
        let divisible = members.len() > 1;
        match failure {
            Failure::Poisoned if divisible => self.divide(now, members, course),
            Failure::Poisoned => self.give_up(members, &course, Undone::Poisoned),
            // Those who need the locked row wait for it apart from those who do not.
            Failure::Locked if divisible && course.rollbacks < SENDS_MAX => {
                self.divide(now, members, course);
            }
            Failure::Broken if !course.in_doubt => {
                self.give_up(members, &course, Undone::RolledBack);
            }
            Failure::Overtaken => self.resend(now, members, course),
            _ => self.resend_within_budget(now, members, course),
        }
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
        let leave = self.leaves_at();
        let times = watchdogs.chain(reconnects).chain(resends).chain(leave);
        // What is due already waits for something else: a session, room, or another's attempt.
        times.filter(|at| *at > now).min()
    }

    // What is the case.

    /// Closed, and nothing is left.
    pub(crate) fn is_drained(&self) -> bool {
        self.closed && self.queue.is_empty() && self.is_still() && self.actions.is_empty()
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

    pub(crate) fn retry_tokens(&self) -> f64 {
        self.budget.tokens()
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
            }
        }
    }

    /// Nobody waits any longer for these.
    fn give_up_late(&mut self, now: Instant) {
        let is_late = |resend: &Resend<T>| deadline(&resend.members) <= now;
        while let Some(place) = self.resends.iter().position(is_late) {
            let Some(Resend { members, course, .. }) = self.resends.remove(place) else { break };
            self.give_up(members, &course, Undone::RolledBack);
        }
    }

    /// While nothing is known to work, one attempt at a time.
    fn reconnect(&mut self, now: Instant) {
        for lane in 0..self.lanes.len() {
            let one_at_a_time = self.breaker.state() == BreakerState::Open;
            if one_at_a_time && self.lanes.iter().any(Lane::is_opening) {
                return;
            }
            if self.lanes[lane].retry_at(now).is_some_and(|at| at <= now) {
                self.lanes[lane].opening();
                self.actions.push_back(Action::Connect { lane });
            }
        }
    }

    /// Slot first, batch second: while every slot is taken the queue fills and batches grow. A batch
    /// is cut only when it can be sent: until then its requests can still leave, or be refused.
    fn dispatch(&mut self, now: Instant) {
        while let Some(lane) = self.free_lane() {
            if let Some(place) = self.resends.iter().position(|resend| resend.at <= now) {
                let Some(resend) = self.resends.remove(place) else { return };
                self.send(now, lane, resend.members, resend.course);
                continue;
            }
            let is_due = self.leaves_at().is_some_and(|at| at <= now);
            if !is_due || self.flights.len() + self.resends.len() >= self.slots() {
                return;
            }
            let members = self.cut(now);
            if !members.is_empty() {
                self.budget.earn();
                let backoff = Backoff::new(RESEND_FIRST, RESEND_MAX);
                let course = Course { rollbacks: 0, in_doubt: false, backoff };
                self.send(now, lane, members, course);
            }
        }
    }

    /// The lane with the most room.
    fn free_lane(&self) -> Option<usize> {
        let room = self.lane_room();
        let free = (0..self.lanes.len())
            .filter(|lane| self.lanes[*lane].is_up() && self.lanes[*lane].in_flight() < room);
        free.min_by_key(|lane| self.lanes[*lane].in_flight())
    }

    /// When the batch that would form now leaves, full or not.
    fn leaves_at(&self) -> Option<Instant> {
        let oldest = self.queue.oldest()?;
        let held = self.queue.held();
        let full =
            held.items >= self.breaker.batch_items() || held.bytes >= self.limits.batch_bytes;
        let at_once = full || self.closed;
        Some(oldest.admitted + if at_once { Duration::ZERO } else { self.limits.batch_wait })
    }

    /// Takes the oldest requests that fit together; what waited too long is answered and left behind.
    fn cut(&mut self, now: Instant) -> Vec<Waiting<T>> {
        let mut members = Vec::new();
        let whole = Size { items: self.limits.batch_items, bytes: self.limits.batch_bytes };
        let mut room = Size { items: self.breaker.batch_items(), ..whole };
        let (mut late, mut delayed) = (Vec::new(), Vec::new());
        loop {
            // One large request may leave alone in a batch that is kept small.
            let fits = if members.is_empty() { whole } else { room };
            let Some(waiting) = self.queue.pop_within(fits) else { break };
            let waited = now - waiting.admitted;
            // Nothing is gained by shedding what would not be followed by a full batch.
            let stands = self.queue.held().items >= self.limits.batch_items;
            let shed = self.codel.sheds(now, waited, self.pace.usual()) && stands;
            if waiting.claim.deadline <= now {
                late.push(waiting);
            } else if waited >= self.limits.queue_wait || (shed && !self.closed) {
                delayed.push(waiting);
            } else {
                let size = waiting.claim.size;
                room.items = room.items.saturating_sub(size.items);
                room.bytes = room.bytes.saturating_sub(size.bytes);
                members.push(waiting);
            }
        }
        self.counts.expired += late.len() as u64;
        self.counts.delayed += delayed.len() as u64;
        self.answer(late, Undone::Deadline);
        self.answer(delayed, Undone::QueueDelay);
        members
    }

    fn send(&mut self, now: Instant, lane: usize, members: Vec<Waiting<T>>, course: Course) {
        let batch = self.next_batch;
        self.next_batch += 1;
        self.lanes[lane].sent(batch, now);
        // Each batch before it may take the watchdog's whole time.
        let ahead = u32::try_from(self.lanes[lane].in_flight()).unwrap_or(u32::MAX);
        let not_after = now + self.limits.watchdog * ahead;
        let items = members.iter().map(|waiting| waiting.claim.size.items).sum();
        self.flights.insert(batch, Flight { lane, items, course });
        self.actions.push_back(Action::Send(Sending { lane, batch, members, not_after }));
    }

    /// In doubt, until the deadline: the ids make it safe, and only the answer to one can tell. Else a
    /// few times, and within the budget.
    fn resend_within_budget(&mut self, now: Instant, members: Vec<Waiting<T>>, course: Course) {
        if course.in_doubt || (course.rollbacks < SENDS_MAX && self.budget.spend(now)) {
            self.resend(now, members, course);
        } else {
            self.give_up(members, &course, Undone::RolledBack);
        }
    }

    fn resend(&mut self, now: Instant, members: Vec<Waiting<T>>, mut course: Course) {
        self.counts.retries += 1;
        let at = now + course.backoff.next(&mut self.random);
        self.resends.push_back(Resend { at, members, course });
    }

    /// Two halves, to find what cannot be applied: with n requests, at most 2·log2(n) more sends.
    fn divide(&mut self, now: Instant, mut members: Vec<Waiting<T>>, course: Course) {
        self.counts.divisions += 1;
        let second = members.split_off(members.len() / 2);
        for members in [second, members] {
            let course = course.clone();
            self.resends.push_front(Resend { at: now, members, course });
        }
    }

    fn give_up(&mut self, members: Vec<Waiting<T>>, course: &Course, undone: Undone) {
        self.answer(members, course.ends(undone));
    }

    fn answer(&mut self, members: Vec<Waiting<T>>, undone: Undone) {
        if !members.is_empty() {
            self.actions.push_back(Action::Answer { entries: entries(members), undone });
        }
    }

    fn drop_session(&mut self, now: Instant, lane: usize) {
        self.lanes[lane].down(now);
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

/// The latest of its callers' deadlines.
fn deadline<T>(members: &[Waiting<T>]) -> Instant {
    // Unwrap safety: a batch has members.
    members.iter().map(|waiting| waiting.claim.deadline).max().expect("a batch is not empty")
}
