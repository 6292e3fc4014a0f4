//! What a proxy is to do, and what it has done.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// What happens once, at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The session is cut before PostgreSQL gets the call's Sync: it cannot commit.
    CutBeforeSync,
    /// The session is cut for the client once PostgreSQL has the call's Sync, and PostgreSQL finishes
    /// it: it commits, and nobody learns that.
    CutAfterSync,
    /// The client gets the whole result and the CommandComplete, and then the end of the session.
    CutBeforeReady,
    /// Instead of the result the client gets the end of the stream, and may go on sending.
    HalfClose,
}

/// What a proxy has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that were its target.
    pub sessions: u64,
    /// Calls whose Sync has come from the client.
    pub calls: u64,
    /// Messages and first packets that met a black hole.
    pub held: u64,
    /// Sessions that were closed at their first packet.
    pub refused: u64,
    /// CancelRequests, of any session.
    pub cancels: u64,
}

/// How every message of a target travels.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) held: bool,
    pub(super) refusing: bool,
    pub(super) delay: Duration,
}

#[derive(Default)]
pub(super) struct Control {
    link: watch::Sender<Link>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    armed: Vec<Fault>,
    fired: Vec<Fault>,
    counts: Counts,
}

impl Control {
    pub(super) fn arm(&self, fault: Fault) {
        self.state().armed.push(fault);
    }

    /// Whether the fault is to happen now; if so, it has.
    pub(super) fn fire(&self, fault: Fault) -> bool {
        let mut state = self.state();
        let Some(armed) = state.armed.iter().position(|armed| *armed == fault) else {
            return false;
        };
        state.armed.swap_remove(armed);
        state.fired.push(fault);
        true
    }

    pub(super) fn fired(&self, fault: Fault) -> u64 {
        self.state().fired.iter().filter(|fired| **fired == fault).count() as u64
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Link)) {
        self.link.send_modify(change);
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.link.borrow().refusing
    }

    /// Waits for as long as a message takes.
    pub(super) async fn travel(&self) {
        let (held, delay) = {
            let link = self.link.borrow();
            (link.held, link.delay)
        };
        if held {
            self.count(|counts| counts.held += 1);
            let mut healed = self.link.subscribe();
            // No error: the sender is a field of self.
            let _ = healed.wait_for(|link| !link.held).await;
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
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
