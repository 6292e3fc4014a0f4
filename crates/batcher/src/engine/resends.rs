//! What becomes of a batch that failed: sent again, cut in two, or given back.

use super::retry::Backoff;
use super::{Engine, Failure, Flight, Undone, Waiting};
use crate::mutant::{self, Mutant};
use std::time::Duration;
use tokio::time::Instant;

/// Sends of one batch that was rolled back each time.
const SENDS_MAX: u32 = 3;

/// Between two sends of a batch.
const RESEND_FIRST: Duration = Duration::from_millis(10);
const RESEND_MAX: Duration = Duration::from_secs(1);

/// The history of a batch, over all its sends.
#[derive(Debug, Clone)]
pub(super) struct Course {
    rollbacks: u32,
    in_doubt: bool,
    backoff: Backoff,
}

impl Course {
    pub(super) fn new() -> Self {
        let backoff = Backoff::new(RESEND_FIRST, RESEND_MAX);
        Self { rollbacks: 0, in_doubt: false, backoff }
    }

    /// What its callers are told when it ends like this.
    pub(super) fn ends(&self, undone: Undone) -> Undone {
        if self.in_doubt { Undone::Unknown } else { undone }
    }
}

/// A batch that waits to be sent again.
#[derive(Debug)]
pub(super) struct Resend<T> {
    pub(super) at: Instant,
    pub(super) members: Vec<Waiting<T>>,
    pub(super) course: Course,
}

impl<T> Engine<T> {
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        batch: u64,
        members: Vec<Waiting<T>>,
        failure: Failure,
    ) {
        let Some(Flight { lane, mut course, .. }) = self.flights.remove(&batch) else { return };
        let same_session = self.lanes[lane].answered(batch, now).is_some()
            && !mutant::is(Mutant::ReuseTimedOutSession);
        if same_session && matches!(failure, Failure::Unknown | Failure::WrongSession) {
            self.drop_session(now, lane);
        }
        match failure {
            // What was in flight with it is lost with its session: one failure, not several.
            Failure::Unknown if same_session => self.count_failure(now),
            Failure::Exhausted | Failure::Broken => self.count_failure(now),
            _ => {}
        }
        match failure {
            Failure::Unknown => course.in_doubt = true,
            Failure::Poisoned | Failure::Overtaken => {}
            _ => course.rollbacks += 1,
        }
        let divisible = members.len() > 1;
        match failure {
            Failure::Poisoned if divisible => self.divide_within_budget(now, members, course),
            Failure::Poisoned => self.give_up(members, &course, Undone::Poisoned),
            // Those who need the locked row wait for it apart from those who do not.
            Failure::Locked if divisible && course.rollbacks < SENDS_MAX => {
                self.divide_within_budget(now, members, course);
            }
            Failure::Broken if !course.in_doubt => {
                self.give_up(members, &course, Undone::RolledBack);
            }
            Failure::Overtaken => self.resend(now, members, course),
            _ => self.resend_within_budget(now, members, course),
        }
    }

    /// Nobody waits any longer for these.
    pub(super) fn give_up_late(&mut self, now: Instant) {
        let is_late = |resend: &Resend<T>| deadline(&resend.members) <= now;
        while let Some(place) = self.resends.iter().position(is_late) {
            let Some(Resend { members, course, .. }) = self.resends.remove(place) else { break };
            self.give_up(members, &course, Undone::RolledBack);
        }
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

    /// Where much cannot be applied, looking for all of it would leave no time for anything else.
    fn divide_within_budget(&mut self, now: Instant, members: Vec<Waiting<T>>, course: Course) {
        if self.divisions.spend(now) {
            self.divide(now, members, course);
        } else {
            self.give_up(members, &course, Undone::RolledBack);
        }
    }

    /// Two halves, to find what cannot be applied: with n requests, at most 2·log2(n) more sends.
    fn divide(&mut self, now: Instant, mut members: Vec<Waiting<T>>, course: Course) {
        self.counts.divisions += 1;
        let mut second = members.split_off(members.len() / 2);
        if second.len() > 1 && mutant::is(Mutant::DropOnBisect) {
            second.pop();
        }
        for members in [second, members] {
            let course = course.clone();
            self.resends.push_front(Resend { at: now, members, course });
        }
    }

    pub(super) fn give_up(&mut self, members: Vec<Waiting<T>>, course: &Course, undone: Undone) {
        self.answer(members, course.ends(undone));
    }
}

/// The latest of its callers' deadlines.
pub(super) fn deadline<T>(members: &[Waiting<T>]) -> Instant {
    // Unwrap safety: a batch has members.
    members.iter().map(|waiting| waiting.claim.deadline).max().expect("a batch is not empty")
}
