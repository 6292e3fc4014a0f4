use crate::lane::{Batch, BatchError, Lane};
use crate::queue::{Entry, Queue, Size, SubmitError, Undone};
use crate::ticket::Ticket;
use crate::{Limits, LimitsError, Metrics};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The handle that callers submit to. Clones share one queue.
pub struct Batcher<R, O> {
    queue: Arc<Queue<R, O>>,
}

impl<R, O> Clone for Batcher<R, O> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<R: Send + 'static, O: Send + 'static> Batcher<R, O> {
    /// A batcher, and one worker per lane. The caller spawns the workers and awaits them after
    /// [`close`](Self::close); each ends when the queue is drained and its batches are answered.
    /// Dropping a worker gives up its batches in flight: their callers are told "unknown".
    pub fn new<L: Lane<R, O>>(
        limits: Limits,
        lanes: Vec<Arc<L>>,
        metrics: Metrics,
    ) -> Result<(Self, Vec<impl Future<Output = ()> + Send + use<R, O, L>>), LimitsError> {
        limits.check()?;
        if lanes.is_empty() {
            return Err(LimitsError("database.lanes is 0: no batch could ever be sent".into()));
        }
        let queue = Arc::new(Queue::new(limits, metrics));
        let workers = lanes.into_iter().map(|lane| work(queue.clone(), lane)).collect();
        Ok((Self { queue }, workers))
    }

    /// Admits a request or refuses it, without waiting.
    ///
    /// The request runs if it is dispatched before `deadline` while its ticket is held. A caller that
    /// leaves (drops the ticket) gives its place back at once.
    pub fn submit(
        &self,
        request: R,
        size: Size,
        deadline: Instant,
    ) -> Result<Ticket<R, O>, SubmitError> {
        let (reply, receiver) = oneshot::channel();
        let admitted = Instant::now();
        let expiry = self.queue.expiry(admitted, deadline);
        let entry = Entry { request, reply, size, admitted, deadline, expiry };
        match self.queue.push(entry) {
            Ok(number) => Ok(Ticket::new(self.queue.clone(), number, deadline, expiry, receiver)),
            Err(error) => {
                self.queue.metrics().refused(error);
                Err(error)
            }
        }
    }

    /// Refuses new requests from now on; the workers drain what was admitted and then end.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Answers everything still queued as never run. Returns how many items there were.
    pub fn abandon(&self) -> usize {
        self.queue.abandon()
    }
}

/// Slot first, batch second: while every slot is busy the queue fills and batches grow. The lane is
/// asked last, so that a batch is cut only when it can be sent.
async fn work<R, O, L>(queue: Arc<Queue<R, O>>, lane: Arc<L>)
where
    R: Send + 'static,
    O: Send + 'static,
    L: Lane<R, O>,
{
    let slots = Arc::new(Semaphore::new(queue.limits().in_flight));
    // Dropped with this future: then the batches in flight end, and their callers are told "unknown".
    let mut in_flight = JoinSet::new();
    loop {
        let slot = acquire(&slots).await;
        if !queue.filled().await {
            break;
        }
        // This lane may be down: whoever else sleeps has to know that there is work.
        queue.pass_on();
        tokio::select! {
            () = lane.ready() => {}
            () = queue.drained() => break,
        }
        let entries = queue.cut();
        if !entries.is_empty() {
            in_flight.spawn(run(queue.clone(), lane.clone(), entries, slot));
        }
        while in_flight.try_join_next().is_some() {}
    }
    while in_flight.join_next().await.is_some() {}
}

async fn acquire(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    slots.clone().acquire_owned().await.expect("the semaphore is never closed")
}

/// One batch, from dispatch to the last reply.
async fn run<R, O, L>(
    queue: Arc<Queue<R, O>>,
    lane: Arc<L>,
    entries: Vec<Entry<R, O>>,
    slot: OwnedSemaphorePermit,
) where
    R: Send + 'static,
    O: Send + 'static,
    L: Lane<R, O>,
{
    let metrics = queue.metrics();
    let in_flight = metrics.dispatched(&entries);
    let started = Instant::now();
    let mut replies = Vec::with_capacity(entries.len());
    let mut requests = Vec::with_capacity(entries.len());
    let mut deadline = started;
    for entry in entries {
        deadline = deadline.max(entry.deadline);
        requests.push(entry.request);
        replies.push(entry.reply);
    }
    let result = lane.apply(Batch { requests, deadline }).await;
    metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
    // The next batch need not wait for the replies of this one.
    drop((slot, in_flight));
    match result {
        Ok(outcomes) if outcomes.len() == replies.len() => {
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                let _ = reply.send(Ok(outcome));
            }
        }
        Ok(outcomes) => {
            tracing::error!(
                requests = replies.len(),
                outcomes = outcomes.len(),
                "a lane answered with a wrong number of outcomes"
            );
            give_back(replies, BatchError::Unknown);
        }
        Err(error) => give_back(replies, error),
    }
}

fn give_back<O>(replies: Vec<oneshot::Sender<Result<O, Undone>>>, error: BatchError) {
    for reply in replies {
        let _ = reply.send(Err(Undone::Lane(error)));
    }
}
