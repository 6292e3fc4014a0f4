//! What a proxy is to do, and what it has done.

use super::fault::Fault;
use super::timer::until;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};

/// Events that a slow listener may be behind.
const EVENTS: usize = 4096;
/// A limited link sends what fits into this time at once.
const TICKS_PER_SECOND: u64 = 100;

/// What a proxy has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that were its target.
    pub sessions: u64,
    /// Of these, the encrypted ones: their calls cannot be read.
    pub encrypted: u64,
    /// Calls whose Sync has come from the client.
    pub calls: u64,
    /// Messages that were delayed.
    pub delayed: u64,
    /// Messages that were delivered in slices.
    pub sliced: u64,
    /// Messages that waited for a limited bandwidth.
    pub limited: u64,
    /// Messages and first packets that met a black hole.
    pub held: u64,
    /// Sessions that were closed at their first packet.
    pub refused: u64,
    /// CancelRequests, of any session.
    pub cancels: u64,
}

/// A fault that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub fault: Fault,
    /// The session's `application_name`.
    pub session: Arc<str>,
    /// How many calls the proxy had seen.
    pub calls: u64,
}

/// From the client to PostgreSQL, or back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    There,
    Back,
}

/// How every message of a target travels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    pub(super) held: bool,
    pub(super) refusing: bool,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    /// Bytes that are delivered at once; 0 for all.
    pub(super) slice: usize,
    /// Bytes a second in each direction; 0 for any number.
    pub(super) rate: u64,
}

pub(super) struct Control {
    link: watch::Sender<Link>,
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct State {
    armed: Vec<Fault>,
    chances: HashMap<Fault, f64>,
    fired: HashMap<Fault, u64>,
    counts: Counts,
    random: fastrand::Rng,
    /// When a limited link will have sent what it has, there and back.
    free: [Option<Instant>; 2],
}

impl Default for Control {
    fn default() -> Self {
        let events = broadcast::Sender::new(EVENTS);
        Self { link: watch::Sender::default(), state: Mutex::default(), events }
    }
}

impl Control {
    pub(super) fn arm(&self, fault: Fault) {
        self.state().armed.push(fault);
    }

    /// How many of what was armed has not happened; it will not any more.
    pub(super) fn disarm(&self, fault: Fault) -> usize {
        let mut state = self.state();
        let armed = state.armed.len();
        state.armed.retain(|other| *other != fault);
        armed - state.armed.len()
    }

    pub(super) fn set_chance(&self, fault: Fault, chance: f64) {
        self.state().chances.insert(fault, chance);
    }

    pub(super) fn seed(&self, seed: u64) {
        self.state().random.seed(seed);
    }

    /// Nothing happens any more.
    pub(super) fn calm(&self) {
        let mut state = self.state();
        state.armed.clear();
        state.chances.clear();
        drop(state);
        self.change(|link| *link = Link::default());
    }

    /// Whether the fault is to happen now to this session; if so, it has.
    pub(super) fn fire(&self, fault: Fault, session: &Arc<str>) -> bool {
        let mut state = self.state();
        if let Some(armed) = state.armed.iter().position(|armed| *armed == fault) {
            state.armed.swap_remove(armed);
        } else {
            match state.chances.get(&fault).copied() {
                Some(chance) if state.random.f64() < chance => {}
                _ => return false,
            }
        }
        *state.fired.entry(fault).or_default() += 1;
        let calls = state.counts.calls;
        drop(state);
        // An error: nobody listens.
        let _ = self.events.send(Event { fault, session: session.clone(), calls });
        true
    }

    pub(super) fn fired(&self, fault: Fault) -> u64 {
        self.state().fired.get(&fault).copied().unwrap_or(0)
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Link)) {
        self.link.send_modify(change);
    }

    pub(super) fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// For how long the next message travels.
    pub(super) fn delay(&self) -> Duration {
        let Link { delay, jitter, .. } = self.link();
        if delay.is_zero() && jitter.is_zero() {
            return Duration::ZERO;
        }
        let mut state = self.state();
        state.counts.delayed += 1;
        delay + jitter.mul_f64(state.random.f64())
    }

    /// Waits at a black hole, if there is one.
    pub(super) async fn pass(&self, was_held: &mut bool) {
        if !self.link().held {
            return;
        }
        if !std::mem::replace(was_held, true) {
            self.count(|counts| counts.held += 1);
        }
        let mut healed = self.link.subscribe();
        // No error: the sender is a field of self.
        let _ = healed.wait_for(|link| !link.held).await;
    }

    /// Waits until so many bytes fit into the link; how many may be sent at once.
    pub(super) async fn send(&self, way: Way, bytes: usize) -> usize {
        let Link { slice, rate, .. } = self.link();
        let bytes = if slice > 0 { bytes.min(slice) } else { bytes };
        if rate == 0 {
            return bytes;
        }
        let bytes = bytes.min((rate / TICKS_PER_SECOND).max(1) as usize);
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let begin = {
            let now = Instant::now();
            let free = &mut self.state().free[way as usize];
            let begin = free.map_or(now, |free| free.max(now));
            *free = Some(begin + takes);
            begin
        };
        until(begin + takes).await;
        bytes
    }

    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.state().random)
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.state().counts);
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
