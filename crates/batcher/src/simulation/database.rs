//! A database that decides each request once, by its id, and whose sessions fail in every way. What
//! reaches it is executed whether or not anybody still listens.

use super::callers::Request;
use super::context::{Context, Event};
use super::seen::Sight;
use super::weather::{Attempt, End, Fate, Weather};
use crate::Failure;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// What a session waits for a locked row.
const LOCK_WAIT: Duration = Duration::from_millis(60);

/// By so much a fence may come before the watchdog, whose timers are late.
const FENCE_EARLY: Duration = Duration::from_millis(5);

pub(super) struct Database {
    pub(super) weather: Weather,
    usual: Duration,
    backends: Vec<Backend>,
    jobs: Vec<Job>,
    /// By id.
    applied: BTreeSet<usize>,
}

/// The database's end of a session: it executes batches in the order of their arrival.
struct Backend {
    free_at: Instant,
    dead: bool,
    /// The other end is gone.
    left: bool,
}

struct Job {
    session: usize,
    batch: u64,
    members: Vec<Request>,
    not_after: Instant,
    fate: Fate,
    executed: bool,
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) batch: u64,
    pub(super) result: Result<(), Failure>,
}

impl Database {
    pub(super) fn new(usual: Duration) -> Self {
        let (backends, jobs, applied) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { weather: Weather::Fair, usual, backends, jobs, applied }
    }

    pub(super) fn has_applied(&self, id: usize) -> bool {
        self.applied.contains(&id)
    }

    /// The weather changes. When it goes down, sessions end: at once or unnoticed, and with or
    /// without what runs on them.
    pub(super) fn turn(&mut self, context: &mut Context, weather: Weather) {
        self.weather = weather;
        if weather != Weather::Down {
            return;
        }
        for (session, backend) in self.backends.iter_mut().enumerate() {
            backend.dead |= context.chance(0.6);
            if !backend.left && context.chance(0.8) {
                let wait = context.millis(0.0, 20.0);
                context.after(wait, Event::Ends(session));
            }
        }
    }

    /// All faults are over: what has ended unnoticed is noticed now.
    pub(super) fn heal(&mut self, context: &mut Context) {
        self.weather = Weather::Fair;
        for (session, backend) in self.backends.iter().enumerate() {
            if backend.dead && !backend.left {
                context.soon(Event::Ends(session));
            }
        }
    }

    pub(super) fn connect(&mut self, context: &mut Context) -> Attempt {
        self.weather.attempt(context)
    }

    /// A new session, by number. Some end by themselves.
    pub(super) fn open(&mut self, context: &mut Context) -> usize {
        let session = self.backends.len();
        self.backends.push(Backend { free_at: context.now, dead: false, left: false });
        if self.weather != Weather::Fair && context.chance(0.2) {
            let lives = context.millis(0.0, 1000.0);
            context.after(lives, Event::Ends(session));
        }
        session
    }

    /// The other end of a session is gone. What was sent on it is executed all the same.
    pub(super) fn leave(&mut self, session: usize) {
        self.backends[session].left = true;
    }

    pub(super) fn send(
        &mut self,
        context: &mut Context,
        session: usize,
        batch: u64,
        members: Vec<Request>,
        not_after: Instant,
    ) {
        let mut fate = self.weather.fate(context, self.usual);
        if members.iter().any(|request| self.is_locked(request)) {
            fate.work += LOCK_WAIT;
        }
        let arrives = context.now + context.millis(0.05, 0.5);
        let backend = &mut self.backends[session];
        let begins = backend.free_at.max(arrives);
        backend.free_at = begins + fate.work;
        let ends = backend.free_at;
        if fate.end == End::CutDuring {
            let cut = begins + fate.work.mul_f64(context.random.f64());
            context.at(cut, Event::Ends(session));
        }
        context.at(ends, Event::Executes(self.jobs.len()));
        self.jobs.push(Job { session, batch, members, not_after, fate, executed: false });
    }

    pub(super) fn execute(&mut self, context: &mut Context, number: usize) {
        let job = &mut self.jobs[number];
        let backend = &mut self.backends[job.session];
        if let Some(wait) = job.fate.again.take() {
            context.after(wait, Event::Executes(number));
        } else if job.executed {
            context.seen.note(Sight::ExecutedTwice);
        }
        let first = !std::mem::replace(&mut job.executed, true);
        if first && backend.dead {
            return context.note(|| format!("database: batch {number} is lost with its session"));
        }
        if first && job.fate.end == End::CutBefore {
            backend.dead = true;
            return context.soon(Event::Ends(job.session));
        }
        let result = self.apply(context, number);
        let Job { session, batch, fate, .. } = self.jobs[number];
        let backend = &mut self.backends[session];
        context.note(|| format!("database: batch {batch} on session {session}: {result:?}"));
        if first && fate.end == End::CutAfter {
            backend.dead = context.chance(0.5);
            context.soon(Event::Ends(session));
        } else if first && !backend.left {
            let result = if fate.end == End::Garbled { Err(Failure::Unknown) } else { result };
            let wait = context.millis(0.05, 0.5);
            context.after(wait, Event::Answered(Answered { batch, result }));
        }
    }

    /// All of a batch, or nothing.
    fn apply(&mut self, context: &mut Context, number: usize) -> Result<(), Failure> {
        let job = &self.jobs[number];
        let is_zombie = self.backends[job.session].left;
        if context.now > job.not_after {
            let late = context.now - job.not_after;
            let is_given_up = is_zombie || late <= FENCE_EARLY;
            assert!(is_given_up, "batch {} is fenced, and its session is in use", job.batch);
            context.seen.note(Sight::ZombieFenced);
            return Err(Failure::Contended);
        }
        if let End::RollBack(failure) = job.fate.end {
            return Err(failure);
        }
        if job.members.iter().any(|request| self.is_locked(request)) {
            context.seen.note(Sight::RowsLocked);
            return Err(Failure::Locked);
        }
        if job.members.iter().any(|request| request.poison) {
            return Err(Failure::Poisoned);
        }
        for request in &job.members {
            let is_first = self.applied.insert(request.id);
            if is_first && is_zombie {
                context.seen.note(Sight::ZombieApplied);
            }
        }
        Ok(())
    }

    fn is_locked(&self, request: &Request) -> bool {
        self.weather == Weather::Locked && request.row < 2
    }
}
