use crate::{Limits, Metrics};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// What a request takes of the queue's and a batch's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Items, at least 1: a request of several is never split over batches.
    pub items: usize,
    /// Bytes it holds while it waits.
    pub bytes: usize,
}

/// Why a request was not admitted. It never ran and never will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// The queue is full.
    QueueFull,
    /// The batcher is closed and works off what it has admitted.
    Draining,
    /// More items or bytes than one batch may hold.
    TooLarge,
}

/// Why the batcher gave a request back instead of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    Expired(Expiry),
    Abandoned,
    Lane(crate::BatchError),
}

/// Until when a request may stay in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) at: Instant,
    /// The caller's deadline comes first, not the queue's own bound.
    pub(crate) by_deadline: bool,
}

pub(crate) type Reply<O> = Result<O, Undone>;

/// One admitted request.
pub(crate) struct Entry<R, O> {
    pub(crate) request: R,
    pub(crate) reply: oneshot::Sender<Reply<O>>,
    pub(crate) size: Size,
    pub(crate) admitted: Instant,
    pub(crate) deadline: Instant,
    pub(crate) expiry: Expiry,
}

/// The one bounded queue. A place is taken by `push` and given back by whoever takes the entry out:
/// a worker, its caller, or the end of a drain.
pub(crate) struct Queue<R, O> {
    limits: Limits,
    metrics: Metrics,
    state: Mutex<State<R, O>>,
    /// Wakes workers when the queue grows or closes.
    changed: Notify,
    /// Wakes workers when the closed queue is empty.
    emptied: Notify,
}

struct State<R, O> {
    /// By admission number, so that the first is the oldest and any can leave.
    entries: BTreeMap<u64, Entry<R, O>>,
    next: u64,
    held: Size,
    closed: bool,
}

impl<R, O> Queue<R, O> {
    pub(crate) fn new(limits: Limits, metrics: Metrics) -> Self {
        let state = State {
            entries: BTreeMap::new(),
            next: 0,
            held: Size { items: 0, bytes: 0 },
            closed: false,
        };
        Self {
            limits,
            metrics,
            state: Mutex::new(state),
            changed: Notify::new(),
            emptied: Notify::new(),
        }
    }

    /// Admits a request or refuses it, at once. Returns its admission number.
    pub(crate) fn push(&self, entry: Entry<R, O>) -> Result<u64, SubmitError> {
        let size = entry.size;
        if size.items > self.limits.batch_items || size.bytes > self.limits.batch_bytes {
            return Err(SubmitError::TooLarge);
        }
        let mut state = self.lock();
        if state.closed {
            return Err(SubmitError::Draining);
        }
        if state.held.items + size.items > self.limits.queue_items
            || state.held.bytes + size.bytes > self.limits.queue_bytes
        {
            return Err(SubmitError::QueueFull);
        }
        let number = state.next;
        state.next += 1;
        state.held.items += size.items;
        state.held.bytes += size.bytes;
        state.entries.insert(number, entry);
        self.metrics.queue_items.set(state.held.items as i64);
        drop(state);
        self.changed.notify_one();
        Ok(number)
    }

    /// Takes a request back out, if it is still queued: then it was never dispatched.
    pub(crate) fn withdraw(&self, number: u64) -> Option<Entry<R, O>> {
        let mut state = self.lock();
        let entry = state.entries.remove(&number)?;
        self.release(&mut state, entry.size);
        Some(entry)
    }

    /// Waits until a batch should leave: it is full, or has waited long enough for company. False once
    /// the queue is closed and empty.
    pub(crate) async fn filled(&self) -> bool {
        loop {
            // Ordering: registered before the look, or a push in between would wake nobody.
            let changed = self.changed.notified();
            let wait = {
                let state = self.lock();
                match self.time_to_close(&state) {
                    None if state.closed => return false,
                    Some(Duration::ZERO) => return true,
                    wait => wait,
                }
            };
            match wait {
                None => changed.await,
                Some(wait) => drop(tokio::time::timeout(wait, changed).await),
            }
        }
    }

    /// How long the batch that would form now should still wait for company; `None` when empty.
    fn time_to_close(&self, state: &State<R, O>) -> Option<Duration> {
        let (_, oldest) = state.entries.first_key_value()?;
        if state.closed
            || state.held.items >= self.limits.batch_items
            || state.held.bytes >= self.limits.batch_bytes
        {
            return Some(Duration::ZERO);
        }
        Some(self.limits.batch_wait.saturating_sub(oldest.admitted.elapsed()))
    }

    /// Takes the oldest requests that fit together; the expired are answered and left behind. Empty
    /// when all have expired or left.
    pub(crate) fn cut(&self) -> Vec<Entry<R, O>> {
        let now = Instant::now();
        let mut state = self.lock();
        let mut batch = Vec::with_capacity(state.entries.len().min(self.limits.batch_items));
        let (mut items, mut bytes) = (0, 0);
        while let Some(first) = state.entries.first_entry() {
            let size = first.get().size;
            if items + size.items > self.limits.batch_items
                || bytes + size.bytes > self.limits.batch_bytes
            {
                break;
            }
            let entry = first.remove();
            self.release(&mut state, size);
            if entry.expiry.at <= now {
                self.metrics.expired.inc();
                let _ = entry.reply.send(Err(Undone::Expired(entry.expiry)));
                continue;
            }
            items += size.items;
            bytes += size.bytes;
            batch.push(entry);
        }
        batch
    }

    /// Wakes another worker.
    pub(crate) fn pass_on(&self) {
        self.changed.notify_one();
    }

    /// Resolves when the queue is closed and empty: every request was taken, withdrawn or given up.
    pub(crate) async fn drained(&self) {
        loop {
            // Ordering: registered before the look, as in `filled`.
            let emptied = self.emptied.notified();
            {
                let state = self.lock();
                if state.closed && state.entries.is_empty() {
                    return;
                }
            }
            emptied.await;
        }
    }

    /// No more admissions; workers drain what is there.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
        self.emptied.notify_waiters();
    }

    /// Gives every queued request back undispatched. Returns how many items there were.
    pub(crate) fn abandon(&self) -> usize {
        let mut state = self.lock();
        let entries = std::mem::take(&mut state.entries);
        let items = state.held.items;
        state.held = Size { items: 0, bytes: 0 };
        self.metrics.queue_items.set(0);
        drop(state);
        self.emptied.notify_waiters();
        for entry in entries.into_values() {
            let _ = entry.reply.send(Err(Undone::Abandoned));
        }
        items
    }

    fn release(&self, state: &mut State<R, O>, size: Size) {
        state.held.items -= size.items;
        state.held.bytes -= size.bytes;
        self.metrics.queue_items.set(state.held.items as i64);
        if state.closed && state.entries.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// When a request admitted now leaves the queue at the latest.
    pub(crate) fn expiry(&self, admitted: Instant, deadline: Instant) -> Expiry {
        let bound = admitted + self.limits.queue_wait;
        Expiry { at: deadline.min(bound), by_deadline: deadline <= bound }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn lock(&self) -> MutexGuard<'_, State<R, O>> {
        // A panic under this lock leaves consistent counts: every section is a few moves.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
