//! What must hold at every step, kept apart from the engine's own books.

mod batch;
mod rest;

use super::callers::{Caller, Callers, Request, Told};
use super::context::Context;
use super::seen::Sight;
use crate::engine::{BreakerState, Engine, Sending, Undone, Waiting};
use crate::{Failure, Limits, Size, SubmitError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Rollbacks after which a request is not sent again, unless it is in doubt.
const ROLLBACKS_MAX: u32 = 3;

/// Asked for more often than this at one instant, the engine spins.
const POLLS_MAX: u32 = 300;

/// Attempts to open a session on one lane within a second, while none is of use.
const ATTEMPTS_MAX: usize = 20;

/// Timers fire late by up to this.
pub(super) const TIMER_LATE: Duration = Duration::from_millis(1);

/// Whoever is woken comes so soon.
const WAKE_LATE: Duration = Duration::from_millis(1);

/// The longest wait between two sends, after so many.
fn backoff(sends: u32) -> Duration {
    Duration::from_millis(10 << (sends - 1).min(7)).min(Duration::from_secs(1))
}

fn sum(one: Size, other: Size) -> Size {
    Size { items: one.items + other.items, bytes: one.bytes + other.bytes }
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
    /// To open a session, since one of them has applied a batch.
    attempts: Vec<Instant>,
    /// By batch: its items.
    in_flight: BTreeMap<u64, usize>,
    head_since: Option<Instant>,
}

/// A batch as it left.
#[derive(Debug)]
struct Sent {
    lane: usize,
    items: usize,
}

pub(super) struct Checks {
    limits: Limits,
    pub(super) courses: Vec<Course>,
    roots: BTreeMap<u64, Root>,
    lanes: Vec<Lane>,
    /// By batch. Sent, and not reported yet.
    unreported: BTreeMap<u64, Sent>,
    /// By answered batch: items whose callers the engine may expect back, and until when.
    returning: Vec<(usize, Instant)>,
    /// What left the queue unsent at one instant: the engine counted it when it let a batch go.
    given_back: (Instant, Size),
    closed: bool,
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
            returning: Vec::new(),
            given_back: (start, Size { items: 0, bytes: 0 }),
            closed: false,
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

    pub(super) fn queued(&mut self, now: Instant, size: Size) {
        self.queued.items += size.items;
        self.queued.bytes += size.bytes;
        let mut came = size.items;
        self.returning.retain(|(_, until)| now < *until);
        for (items, _) in &mut self.returning {
            let of_these = came.min(*items);
            (came, *items) = (came - of_these, *items - of_these);
        }
    }

    pub(super) fn unqueued(&mut self, size: Size) {
        self.queued.items -= size.items;
        self.queued.bytes -= size.bytes;
    }

    /// Only who holds something of a queue that others wait in as well has had its share.
    pub(super) fn refused(&self, callers: &Callers, id: usize) {
        let caller = &callers.all[id];
        if caller.told != Some(Told::Refused(SubmitError::ClientShare)) {
            return;
        }
        let all = callers.all.iter().zip(&self.courses);
        let queued = all.filter(|(other, course)| {
            other.number.is_some() && !other.released && course.sends == 0
        });
        let own = |(other, _): &(&Caller, &Course)| other.claim.client == caller.claim.client;
        let (own, others): (Vec<_>, Vec<_>) = queued.partition(own);
        assert!(!own.is_empty() && !others.is_empty(), "{id} has not had its share");
    }

    pub(super) fn queued_items(&self) -> usize {
        self.queued.items
    }

    /// Those that may be about to come back.
    fn returning_items(&self, now: Instant) -> usize {
        self.returning.iter().filter(|(_, until)| now < *until).map(|(items, _)| items).sum()
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
            self.check_follows(context, *lane);
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
        let items = members.iter().map(|waiting| waiting.claim.size.items).sum();
        self.unreported.insert(batch, Sent { lane: *lane, items });
        let taken = self.unreported.len() + self.waiting.len();
        assert!(!fresh || taken <= slots, "a new batch without a slot");
        let lane = &mut self.lanes[*lane];
        lane.in_flight.insert(batch, items);
        lane.head_since.get_or_insert(context.now);
        assert!(lane.in_flight.len() <= room, "{} batches on a lane", lane.in_flight.len());
    }

    fn no_longer_waits(&mut self, id: usize) {
        self.waiting.retain(|_, members| {
            members.remove(&id);
            !members.is_empty()
        });
    }

    pub(super) fn closed(&mut self) {
        self.closed = true;
    }

    pub(super) fn abandoned(&mut self) {
        self.abandoned = true;
    }

    /// A report: the batch is no longer in flight. Where it was applied, the engine waits so long for its callers.
    pub(super) fn ended(&mut self, now: Instant, batch: u64, applied: Option<Duration>) {
        let Some(Sent { lane, items }) = self.unreported.remove(&batch) else { return };
        if let Some(patience) = applied {
            self.returning.retain(|(_, until)| now < *until);
            self.returning.push((items, now + patience));
        }
        let lane = &mut self.lanes[lane];
        if lane.in_flight.remove(&batch).is_some() {
            lane.head_since = (!lane.in_flight.is_empty()).then_some(now);
            if applied.is_some() {
                lane.attempts.clear();
            }
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
                Failure::Poisoned | Failure::Overtaken => {}
                _ => course.rollbacks += 1,
            }
            let few = members.len() > 1 && course.rollbacks < ROLLBACKS_MAX;
            divides |= failure == Failure::Locked && few;
            let free = [Failure::Unknown, Failure::Poisoned, Failure::Overtaken];
            let rolled_back = !free.contains(&failure);
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
                let is_over = caller.claim.deadline <= context.now || self.abandoned;
                assert!(is_over || course.last != Some(Failure::Overtaken), "{id} would pass");
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
            let size = caller.claim.size;
            self.unqueued(size);
            self.given_back = (context.now, sum(self.given_back(context.now), size));
        }
    }
}
