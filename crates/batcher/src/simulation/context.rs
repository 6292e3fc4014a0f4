//! What every part of a run shares: the virtual clock, what is to happen, chance, and the record.

use super::database::Answered;
use super::seen::Seen;
use super::shell::Report;
use super::trace::Trace;
use crate::Pressure;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A caller comes, one of the plan's.
    Arrives(usize),
    /// A caller's longest time in the queue is over.
    Expires(usize),
    Deadline(usize),
    /// A caller hangs up.
    Leaves(usize),
    /// The driver is woken: by callers, or by its timer.
    Act,
    Timer(u64),
    /// An attempt to open a session ends.
    Connected {
        lane: usize,
        opened: bool,
    },
    /// The database comes to a batch.
    Executes(usize),
    /// The answer to a batch arrives.
    Answered(Answered),
    /// A session ends, as seen from here.
    Ends(usize),
    Report(Report),
    /// The next weather of the plan.
    Turns(usize),
    Presses(Pressure),
    Closes,
    Abandons {
        stops: bool,
    },
    /// All faults are over.
    Heals,
    /// By now all must be well.
    Judged,
}

pub(super) struct Context {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) random: Rng,
    pub(super) trace: Trace,
    pub(super) seen: Seen,
    /// By time; what happens at the same time, in random order.
    agenda: BTreeMap<(Instant, u32, u64), Event>,
    scheduled: u64,
}

impl Context {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        let start = Instant::now();
        let random = Rng::with_seed(seed);
        let (agenda, seen) = (BTreeMap::new(), Seen::default());
        Self { start, now: start, random, trace, seen, agenda, scheduled: 0 }
    }

    pub(super) fn at(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        let key = (at.max(self.now), self.random.u32(..), self.scheduled);
        self.agenda.insert(key, event);
    }

    pub(super) fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now + wait, event);
    }

    /// Soon, as tasks are scheduled: often at once, in any order.
    pub(super) fn soon(&mut self, event: Event) {
        let wait = if self.chance(0.7) { 0 } else { self.random.u64(0..300) };
        self.after(Duration::from_micros(wait), event);
    }

    /// The next event; the clock moves to it.
    pub(super) fn next(&mut self) -> Option<Event> {
        let ((at, ..), event) = self.agenda.pop_first()?;
        self.now = at;
        Some(event)
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.random.f64() < probability
    }

    /// Anywhere between these, in milliseconds.
    pub(super) fn millis(&mut self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64((from + (to - from) * self.random.f64()) / 1e3)
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.note(self.now - self.start, line);
    }
}
