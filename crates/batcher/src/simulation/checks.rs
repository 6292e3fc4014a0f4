//! What must hold at every step, kept apart from the engine's own books.

use super::callers::{Callers, Request};
use super::context::Context;
use super::seen::Sight;
use crate::engine::{BreakerState, Engine, Sending, Undone, Waiting};
use crate::{Failure, Limits, Size};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Rollbacks after which a request is not sent again, unless it is in doubt.
const ROLLBACKS_MAX: u32 = 3;

/// Asked for more often than this at one instant, the engine spins.
const POLLS_MAX: u32 = 300;

/// Timers fire late by up to this.
pub(super) const TIMER_LATE: Duration = Duration::from_millis(1);

/// Whoever is woken comes so soon.
const WAKE_LATE: Duration = Duration::from_millis(1);

/// The longest wait between two sends, after so many.
fn backoff(sends: u32) -> Duration {
    Duration::from_millis(10 << (sends - 1).min(7)).min(Duration::from_secs(1))
}

/// What was seen of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    pub(super) sends: u32,
    in_flight: Option<u64>,
    /// How many were in its last batch.
    among: usize,
    pub(super) in_doubt: bool,
    pub(super) rollbacks: u32,
    last: Option<Failure>,
    /// Since when it waits to be sent again.
    failed: Option<Instant>,
    /// Sending it again takes from the retry budget.
    paid: bool,
    /// The batch that it was first in.
    root: u64,
}

/// What was seen of the pieces of one batch.
#[derive(Debug, Default)]
struct Root {
    members: usize,
    poisons: usize,
    sends: usize,
    poison_divisions: usize,
    lock_divisions: usize,
    repeats: usize,
}

#[derive(Debug, Clone, Default)]
struct Lane {
    in_flight: BTreeSet<u64>,
    head_since: Option<Instant>,
}

pub(super) struct Checks {
    limits: Limits,
    pub(super) courses: Vec<Course>,
    roots: BTreeMap<u64, Root>,
    lanes: Vec<Lane>,
    /// By batch: its lane. Sent, and not reported yet.
    unreported: BTreeMap<u64, usize>,
    /// By batch that failed: its members that wait to be sent again.
    waiting: BTreeMap<u64, BTreeSet<usize>>,
    /// Since when some lane has had room; and since when for a new batch.
    room_since: Option<Instant>,
    open_since: Option<Instant>,
    queued: Size,
    newest: Option<u64>,
    fresh_batches: u32,
    paid_batches: u32,
    polls: (Instant, u32),
    breaker: BreakerState,
    /// Batches applied since it half opened.
    ramp: u32,
    abandoned: bool,
}

impl Checks {
    pub(super) fn new(limits: Limits, lanes: usize, callers: usize, start: Instant) -> Self {
        Self {
            limits,
            courses: vec![Course::default(); callers],
            roots: BTreeMap::new(),
            lanes: vec![Lane::default(); lanes],
            unreported: BTreeMap::new(),
            waiting: BTreeMap::new(),
            room_since: None,
            open_since: None,
            queued: Size { items: 0, bytes: 0 },
            newest: None,
            fresh_batches: 0,
            paid_batches: 0,
            polls: (start, 0),
            breaker: BreakerState::Closed,
            ramp: 0,
            abandoned: false,
        }
    }

    pub(super) fn queued(&mut self, size: Size) {
        self.queued.items += size.items;
        self.queued.bytes += size.bytes;
    }

    pub(super) fn unqueued(&mut self, size: Size) {
        self.queued.items -= size.items;
        self.queued.bytes -= size.bytes;
    }

    pub(super) fn queued_items(&self) -> usize {
        self.queued.items
    }

    pub(super) fn polled(&mut self, now: Instant) {
        let (at, polls) = &mut self.polls;
        if *at != now {
            (*at, *polls) = (now, 0);
        }
        *polls += 1;
        assert!(*polls <= POLLS_MAX, "the engine spins");
    }

    /// A batch leaves.
    pub(super) fn sent(
        &mut self,
        context: &mut Context,
        callers: &Callers,
        sending: &Sending<Request>,
        breaker: BreakerState,
    ) {
        let Sending { lane, batch, members, not_after } = sending;
        let batch = *batch;
        self.check_batch(callers, members);
        self.check_fence(context.now, *not_after);
        let fresh = members.iter().all(|waiting| self.courses[waiting.entry.id].sends == 0);
        if fresh && breaker == BreakerState::HalfOpen {
            self.check_slow_start(members);
        }
        if fresh {
            self.check_prompt(context.now, callers, members[0].entry.id);
            self.fresh(context.now, callers, batch, members);
        } else {
            self.check_prompt(context.now, callers, members[0].entry.id);
            self.again(context, members);
        }
        let root = self.courses[members[0].entry.id].root;
        self.roots.get_mut(&root).expect("a root").sends += 1;
        for waiting in members {
            self.no_longer_waits(waiting.entry.id);
            let course = &mut self.courses[waiting.entry.id];
            assert_eq!(course.in_flight, None, "{:?} is in two batches", waiting.entry);
            assert_eq!(course.root, root, "two batches were joined");
            course.sends += 1;
            (course.in_flight, course.failed) = (Some(batch), None);
            course.among = members.len();
        }
        let room = if breaker == BreakerState::Closed { self.limits.in_flight } else { 1 };
        let slots = self.lanes.len() * self.limits.in_flight;
        self.unreported.insert(batch, *lane);
        let taken = self.unreported.len() + self.waiting.len();
        assert!(!fresh || taken <= slots, "a new batch without a slot");
        let lane = &mut self.lanes[*lane];
        lane.in_flight.insert(batch);
        lane.head_since.get_or_insert(context.now);
        assert!(lane.in_flight.len() <= room, "{} batches on a lane", lane.in_flight.len());
    }

    fn check_batch(&self, callers: &Callers, members: &[Waiting<Request>]) {
        let items: usize = members.iter().map(|waiting| waiting.claim.size.items).sum();
        let bytes: usize = members.iter().map(|waiting| waiting.claim.size.bytes).sum();
        assert!(!members.is_empty(), "an empty batch");
        assert!(items <= self.limits.batch_items, "a batch of {items} items");
        assert!(bytes <= self.limits.batch_bytes, "a batch of {bytes} bytes");
        let callers = members.iter().map(|waiting| &callers.all[waiting.entry.id]);
        let in_order = callers.clone().is_sorted_by(|a, b| a.number < b.number);
        assert!(in_order, "the order of admission is lost");
        for caller in callers {
            assert!(caller.number.is_some(), "sent without admission: {caller:?}");
            assert!(!caller.released, "sent after its answer: {caller:?}");
        }
    }

    /// A database that has just come back gets small batches first: one item, or one request.
    fn check_slow_start(&self, members: &[Waiting<Request>]) {
        let items: usize = members.iter().map(|waiting| waiting.claim.size.items).sum();
        let ramp = (self.limits.batch_items / 16).max(1) << self.ramp;
        assert!(items <= ramp || members.len() == 1, "a batch of {items} items at the start");
    }

    /// While there is room, nothing waits longer than its linger or its backoff.
    pub(super) fn check_prompt(&self, now: Instant, callers: &Callers, id: usize) {
        let course = &self.courses[id];
        let (since, wait, room) = match course.failed {
            None => (callers.all[id].admitted, self.limits.batch_wait, self.open_since),
            Some(failed) => (failed, backoff(course.sends), self.room_since),
        };
        let Some(room) = room else { return };
        let due = (since + wait).max(room) + TIMER_LATE + WAKE_LATE;
        assert!(now <= due, "{id} waits since {:?}, and there is room", now - since);
    }

    fn check_fence(&self, now: Instant, not_after: Instant) {
        let fence = not_after - now;
        let longest = self.limits.watchdog * u32::try_from(self.limits.in_flight).unwrap();
        assert!(fence >= self.limits.watchdog && fence <= longest, "a fence after {fence:?}");
    }

    fn no_longer_waits(&mut self, id: usize) {
        self.waiting.retain(|_, members| {
            members.remove(&id);
            !members.is_empty()
        });
    }

    fn fresh(&mut self, now: Instant, callers: &Callers, batch: u64, members: &[Waiting<Request>]) {
        self.fresh_batches += 1;
        let poisons = members.iter().filter(|waiting| waiting.entry.poison).count();
        let root = Root { members: members.len(), poisons, ..Root::default() };
        self.roots.insert(batch, root);
        for Waiting { entry, claim, admitted } in members {
            let number = callers.all[entry.id].number;
            assert!(number > self.newest, "an older request is sent after a newer one");
            assert!(claim.deadline > now, "sent past its deadline");
            assert!(now - *admitted < self.limits.queue_wait, "sent after too long a wait");
            self.newest = number;
            self.courses[entry.id].root = batch;
            self.unqueued(claim.size);
        }
    }

    fn again(&mut self, context: &mut Context, members: &[Waiting<Request>]) {
        let is_awaited = members.iter().any(|waiting| waiting.claim.deadline > context.now);
        assert!(is_awaited, "sent again, and nobody waits for it");
        let Course { in_doubt, rollbacks, paid, last, among, .. } =
            self.courses[members[0].entry.id];
        match last {
            Some(Failure::Poisoned) => {
                assert!(members.len() < among, "a poisoned batch is sent again whole");
                context.seen.note(Sight::DividedForPoison);
            }
            Some(Failure::Locked) if members.len() < among => {
                context.seen.note(Sight::DividedForLock);
            }
            _ => assert_eq!(members.len(), among, "a batch is sent again in part"),
        }
        assert!(in_doubt || rollbacks < ROLLBACKS_MAX, "sent again after {rollbacks} rollbacks");
        assert!(in_doubt || last != Some(Failure::Broken), "sent again, and will be rolled back");
        if paid {
            self.paid_batches += 1;
            let elapsed = (context.now - context.start).as_secs_f64();
            let earned = 10.0 + f64::from(self.fresh_batches) / 10.0 + elapsed;
            assert!(f64::from(self.paid_batches) <= earned + 1e-6, "the retry budget is overdrawn");
        }
    }

    pub(super) fn abandoned(&mut self) {
        self.abandoned = true;
    }

    /// A report: the batch is no longer in flight.
    pub(super) fn ended(&mut self, now: Instant, batch: u64) {
        let Some(lane) = self.unreported.remove(&batch) else { return };
        let lane = &mut self.lanes[lane];
        if lane.in_flight.remove(&batch) {
            lane.head_since = (!lane.in_flight.is_empty()).then_some(now);
        }
    }

    pub(super) fn applied(&mut self, context: &mut Context, members: &[usize]) {
        if self.breaker == BreakerState::HalfOpen {
            self.ramp += 1;
        }
        for id in members {
            context.seen.note(Sight::Applied);
            if self.courses[*id].in_doubt {
                context.seen.note(Sight::AnsweredOnlyAfterDoubt);
            }
        }
    }

    pub(super) fn failed(
        &mut self,
        now: Instant,
        batch: u64,
        members: &[Waiting<Request>],
        failure: Failure,
    ) {
        let mut divides = members.len() > 1 && failure == Failure::Poisoned;
        for waiting in members {
            let course = &mut self.courses[waiting.entry.id];
            course.in_flight = None;
            (course.last, course.failed) = (Some(failure), Some(now));
            match failure {
                Failure::Unknown => course.in_doubt = true,
                Failure::Poisoned => {}
                _ => course.rollbacks += 1,
            }
            let few = members.len() > 1 && course.rollbacks < ROLLBACKS_MAX;
            divides |= failure == Failure::Locked && few;
            let rolled_back = !matches!(failure, Failure::Unknown | Failure::Poisoned);
            course.paid = rolled_back && !divides && !course.in_doubt;
        }
        let ids = members.iter().map(|waiting| waiting.entry.id);
        self.waiting.insert(batch, ids.collect());
        let root = self.courses[members[0].entry.id].root;
        let root = self.roots.get_mut(&root).expect("a root");
        match (divides, failure) {
            (true, Failure::Poisoned) => root.poison_divisions += 1,
            (true, _) => root.lock_divisions += 1,
            (false, _) => root.repeats += 1,
        }
    }

    /// The engine gives a request back.
    pub(super) fn undone(
        &mut self,
        context: &mut Context,
        callers: &Callers,
        id: usize,
        undone: Undone,
    ) {
        let (caller, course) = (&callers.all[id], &self.courses[id]);
        let sent = course.sends > 0;
        let waited = context.now - caller.admitted;
        match undone {
            Undone::Deadline => assert!(!sent && caller.claim.deadline <= context.now),
            Undone::QueueDelay => {
                assert!(!sent);
                if waited < self.limits.queue_wait {
                    context.seen.note(Sight::DelayShed);
                }
            }
            Undone::Abandoned => assert!(!sent),
            Undone::Poisoned => {
                assert!(sent && caller.visit.request.poison, "{id} is not poison");
                context.seen.note(Sight::PoisonFound);
            }
            Undone::Unknown => {
                assert!(sent && course.in_doubt, "{id} is not in doubt");
                let is_over = caller.claim.deadline <= context.now || self.abandoned;
                assert!(is_over || caller.visit.request.poison, "{id} is given up in doubt");
            }
            Undone::RolledBack => {
                assert!(sent && !course.in_doubt, "{id} is in doubt");
                if course.rollbacks >= ROLLBACKS_MAX {
                    context.seen.note(Sight::RolledBackThreeTimes);
                } else if course.paid && course.last != Some(Failure::Broken) {
                    context.seen.note(Sight::BudgetExhausted);
                }
            }
        }
        if self.courses[id].failed.is_some() && !self.abandoned {
            self.check_prompt(context.now, callers, id);
        }
        if sent {
            self.no_longer_waits(id);
        } else {
            self.unqueued(caller.claim.size);
        }
    }

    /// The lane's session is gone.
    pub(super) fn session_gone(&mut self, lane: usize) {
        self.lanes[lane] = Lane::default();
    }

    /// Whether the engine may drop the session of a lane that seems well.
    pub(super) fn is_hung(&self, now: Instant, lane: usize) -> bool {
        self.lanes[lane].head_since.is_some_and(|since| now - since >= self.limits.watchdog)
    }

    /// When the engine has nothing more to do at this instant.
    pub(super) fn at_rest(
        &mut self,
        context: &mut Context,
        engine: &Engine<Request>,
        sessions: &[Option<usize>],
    ) {
        let now = context.now;
        self.note_room(now, engine.breaker(), sessions);
        assert_eq!(engine.held(), self.queued, "the books of the queue");
        assert!(self.queued.items <= self.limits.queue_items, "the queue's items");
        assert!(self.queued.bytes <= self.limits.queue_bytes, "the queue's bytes");
        if let Some(wake) = engine.next_wake(now) {
            assert!(wake > now, "to be woken in the past");
        }
        for lane in &self.lanes {
            let age = lane.head_since.map_or(Duration::ZERO, |since| now - since);
            assert!(age <= self.limits.watchdog + TIMER_LATE, "no answer for {age:?}");
        }
        let breaker = engine.breaker();
        if breaker != self.breaker {
            context.note(|| format!("breaker: {breaker:?}"));
            context.seen.note(match breaker {
                BreakerState::Open => Sight::BreakerOpened,
                BreakerState::HalfOpen => Sight::BreakerHalfOpen,
                BreakerState::Closed => Sight::BreakerClosedAgain,
            });
            (self.breaker, self.ramp) = (breaker, 0);
        }
    }

    fn note_room(&mut self, now: Instant, breaker: BreakerState, sessions: &[Option<usize>]) {
        let room = if breaker == BreakerState::Closed { self.limits.in_flight } else { 1 };
        let mut lanes = self.lanes.iter().zip(sessions);
        let has_room = lanes.any(|(lane, up)| up.is_some() && lane.in_flight.len() < room);
        let slots = self.lanes.len() * self.limits.in_flight;
        let is_open = has_room && self.waiting.is_empty() && self.unreported.len() < slots;
        self.room_since = has_room.then(|| self.room_since.unwrap_or(now));
        self.open_since = is_open.then(|| self.open_since.unwrap_or(now));
    }

    /// One poison in a batch of n costs at most 2·log2(n) more sends, and nothing else is sent more
    /// often than its failures explain.
    pub(super) fn finally(&self) {
        for root in self.roots.values() {
            let depth = root.members.next_power_of_two().ilog2() as usize;
            assert!(root.poison_divisions <= root.poisons * depth, "{root:?}");
            let divisions = root.poison_divisions + root.lock_divisions;
            assert!(root.sends <= 1 + 2 * divisions + root.repeats, "{root:?}");
        }
    }
}
