use crate::driver::{Driver, drive};
use crate::engine::{BreakerState, Claim, Engine, Pressure, Refused, Undone, Waiting};
use crate::ticket::Ticket;
use crate::{Lane, Limits, LimitsError, Metrics};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// The handle that callers submit to. Clones share one queue.
pub struct Batcher<R, O> {
    shared: Arc<Shared<R, O>>,
}

impl<R, O> Clone for Batcher<R, O> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

/// How a batcher is, at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Lanes with a session.
    pub lanes_up: usize,
    /// Whether requests are let in.
    pub breaker: BreakerState,
}

/// A request and its caller.
#[derive(Debug)]
pub(crate) struct Entry<R, O> {
    pub(crate) request: R,
    pub(crate) reply: oneshot::Sender<Reply<R, O>>,
}

/// What became of a request that was sent. The request comes back with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<R, O> {
    /// Its outcome.
    Applied(R, O),
    /// Sent alone, it was rolled back for what is in it: nothing of it was applied, nor would it be.
    Poisoned(R),
}

pub(crate) type Reply<R, O> = Result<Answer<R, O>, Undone>;

/// What callers and the driver share.
pub(crate) struct Shared<R, O> {
    engine: Mutex<Engine<Entry<R, O>>>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Wakes the driver.
    pub(crate) wake: Notify,
}

impl<R, O> Shared<R, O> {
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine<Entry<R, O>>> {
        // A panic under this lock ends the driver, and with it the process.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request back out, if it is still queued: then it was never sent.
    pub(crate) fn withdraw(&self, number: u64) -> bool {
        let mut engine = self.engine();
        let withdrawn = engine.withdraw(number).is_some();
        self.metrics.queue_items.set(engine.held().items as i64);
        if withdrawn && engine.is_drained() {
            self.wake.notify_one();
        }
        withdrawn
    }
}

impl<R: Send + 'static, O: Send + 'static> Batcher<R, O> {
    /// A batcher, and the future that drives it: spawn it, and await it after
    /// [`close`](Self::close); it ends when everything admitted is answered. Dropping it gives up the
    /// batches in flight: their callers are told "unknown".
    pub fn new<L: Lane<R, O>>(
        limits: Limits,
        lanes: Vec<Arc<L>>,
        metrics: Metrics,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<R, O, L>), LimitsError> {
        limits.check()?;
        if lanes.is_empty() {
            return Err(LimitsError("database.lanes is 0: no batch could ever be sent".into()));
        }
        let engine = Engine::new(limits, lanes.len(), fastrand::u64(..));
        let shared =
            Arc::new(Shared { engine: Mutex::new(engine), limits, metrics, wake: Notify::new() });
        Ok((Self { shared: shared.clone() }, drive(Driver::new(shared, lanes))))
    }

    /// Admits a request or refuses it, without waiting.
    ///
    /// The request runs if it is sent before its deadline while its ticket is held. A caller that
    /// leaves (drops the ticket) gives its place back at once.
    pub fn submit(&self, request: R, claim: Claim) -> Result<Ticket<R, O>, Refused> {
        let (reply, receiver) = oneshot::channel();
        let (now, submitted, can_leave) = {
            let mut engine = self.shared.engine();
            // Read within the lock: what the driver saw pass before is past here as well.
            let now = Instant::now();
            let submitted = engine.submit(now, claim, Entry { request, reply });
            self.shared.metrics.queue_items.set(engine.held().items as i64);
            (now, submitted, engine.can_leave(now))
        };
        match submitted {
            Ok(number) => {
                // Else the driver will look when a batch in flight ends, or nobody is expected any more.
                if can_leave {
                    self.shared.wake.notify_one();
                }
                let expiry = self.shared.limits.expiry(now, claim.deadline);
                Ok(Ticket::new(self.shared.clone(), number, claim.deadline, expiry, receiver))
            }
            Err(refused) => Err(self.refuse(refused)),
        }
    }

    /// Whether a request like this would be admitted now: to refuse one before it is read.
    pub fn check(&self, claim: &Claim) -> Result<(), Refused> {
        let checked = self.shared.engine().check(Instant::now(), claim);
        checked.map_err(|refused| self.refuse(refused))
    }

    /// When a request that was not applied should come back.
    pub fn retry_after(&self) -> Duration {
        self.shared.engine().retry_after(Instant::now())
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let engine = self.shared.engine();
        Health { lanes_up: engine.lanes_up(), breaker: engine.breaker() }
    }

    /// What the database's own state allows, until told otherwise.
    pub fn set_pressure(&self, pressure: Pressure) {
        self.shared.engine().set_pressure(pressure);
    }

    /// Refuses new requests from now on; what was admitted is worked off.
    pub fn close(&self) {
        self.shared.engine().close();
        self.shared.wake.notify_one();
    }

    /// Answers everything that is not in flight. Returns how many items were still queued: these never
    /// ran.
    pub fn abandon(&self) -> usize {
        let (items, answers) = self.shared.engine().abandon();
        for (entries, undone) in answers {
            give_back(entries, undone);
        }
        self.shared.metrics.queue_items.set(0);
        items
    }

    fn refuse(&self, refused: Refused) -> Refused {
        self.shared.metrics.refused(refused.reason);
        refused
    }
}

pub(crate) fn give_back<R, O>(entries: Vec<Entry<R, O>>, undone: Undone) {
    for entry in entries {
        let reply = match undone {
            Undone::Poisoned => Ok(Answer::Poisoned(entry.request)),
            undone => Err(undone),
        };
        // An error: the caller has left.
        let _ = entry.reply.send(reply);
    }
}

/// A batch's members, apart: what is sent, and who waits for it.
pub(crate) type Callers<R, O> = Vec<(oneshot::Sender<Reply<R, O>>, Claim, Instant)>;

pub(crate) fn take_apart<R, O>(members: Vec<Waiting<Entry<R, O>>>) -> (Vec<R>, Callers<R, O>) {
    let apart = |Waiting { entry, claim, admitted }: Waiting<Entry<R, O>>| {
        (entry.request, (entry.reply, claim, admitted))
    };
    members.into_iter().map(apart).unzip()
}

pub(crate) fn put_together<R, O>(
    requests: Vec<R>,
    callers: Callers<R, O>,
) -> Vec<Waiting<Entry<R, O>>> {
    let together = |(request, (reply, claim, admitted))| Waiting {
        entry: Entry { request, reply },
        claim,
        admitted,
    };
    requests.into_iter().zip(callers).map(together).collect()
}
