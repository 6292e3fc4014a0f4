//! When a batch leaves, who is in it, and on which lane.

use super::resends::Course;
use super::{Action, BreakerState, Engine, Flight, Lane, Sending, Size, Undone, Waiting};
use std::time::Duration;
use tokio::time::Instant;

impl<T> Engine<T> {
    /// While nothing is known to work, one attempt at a time.
    pub(super) fn reconnect(&mut self, now: Instant) {
        for lane in 0..self.lanes.len() {
            let one_at_a_time = self.breaker.state() == BreakerState::Open;
            if one_at_a_time && self.lanes.iter().any(Lane::is_opening) {
                return;
            }
            if self.lanes[lane].retry_at(now).is_some_and(|at| at <= now) {
                self.lanes[lane].opening();
                self.actions.push_back(Action::Connect { lane });
            }
        }
    }

    /// Slot first, batch second: while every slot is taken, or a larger batch is ahead, the queue fills
    /// and batches grow. A batch is cut only when it can be sent: until then its requests can still leave,
    /// or be refused.
    pub(super) fn dispatch(&mut self, now: Instant) {
        while let Some(lane) = self.least_busy(self.free_lanes()) {
            if let Some(place) = self.resends.iter().position(|resend| resend.at <= now) {
                let Some(resend) = self.resends.remove(place) else { return };
                self.send(now, lane, resend.members, resend.course);
                continue;
            }
            let is_due = self.leaves_at().is_some_and(|at| at <= now);
            if !is_due || self.flights.len() + self.resends.len() >= self.slots() {
                return;
            }
            let Some(lane) = self.next_lane(now) else { return };
            let members = self.cut(now);
            if !members.is_empty() {
                self.budget.earn();
                self.divisions.earn();
                self.send(now, lane, members, Course::new());
            }
        }
    }

    /// Whether there is a lane for what is queued: else it leaves only after something else happens.
    pub(crate) fn can_leave(&self, now: Instant) -> bool {
        self.next_lane(now).is_some()
    }

    /// Lanes that take one more batch.
    fn free_lanes(&self) -> impl Iterator<Item = usize> {
        let room = self.lane_room();
        (0..self.lanes.len())
            .filter(move |lane| self.lanes[*lane].is_up() && self.lanes[*lane].in_flight() < room)
    }

    /// The lane for a new batch, if there is one. On a lane at work it would wait inside PostgreSQL, and
    /// might as well grow here: it follows when it has half of those who are at work there, are queued, or may
    /// be about to come back; or when it is full. Two equal batches in turn hide the network, and the fewer
    /// they are, the less each transfer costs.
    fn next_lane(&self, now: Instant) -> Option<usize> {
        let queued = self.queue.held().items;
        let leaves_anyway = self.closed || self.is_full();
        let returning = self.returning.items(now);
        let takes = |lane: &usize| {
            let ahead = self.lanes[*lane].last_sent().and_then(|batch| self.flights.get(&batch));
            leaves_anyway || ahead.is_none_or(|ahead| queued >= ahead.items + returning)
        };
        self.least_busy(self.free_lanes().filter(takes))
    }

    fn least_busy(&self, lanes: impl Iterator<Item = usize>) -> Option<usize> {
        lanes.min_by_key(|lane| self.lanes[*lane].in_flight())
    }

    /// When the batch that would form now leaves, full or not.
    pub(super) fn leaves_at(&self) -> Option<Instant> {
        let oldest = self.queue.oldest()?;
        let at_once = self.is_full() || self.closed;
        Some(oldest.admitted + if at_once { Duration::ZERO } else { self.limits.batch_wait })
    }

    /// Whether what is queued fills a batch.
    fn is_full(&self) -> bool {
        let held = self.queue.held();
        held.items >= self.breaker.batch_items() || held.bytes >= self.limits.batch_bytes
    }

    /// Takes the oldest requests that fit together; what waited too long is answered and left behind.
    fn cut(&mut self, now: Instant) -> Vec<Waiting<T>> {
        let mut members = Vec::new();
        let whole = Size { items: self.limits.batch_items, bytes: self.limits.batch_bytes };
        let mut room = Size { items: self.breaker.batch_items(), ..whole };
        let (mut late, mut delayed) = (Vec::new(), Vec::new());
        loop {
            // One large request may leave alone in a batch that is kept small.
            let fits = if members.is_empty() { whole } else { room };
            let Some(waiting) = self.queue.pop_within(fits) else { break };
            let waited = now - waiting.admitted;
            // Nothing is gained by shedding what would not be followed by a full batch.
            let stands = self.queue.held().items >= self.limits.batch_items;
            let shed = self.codel.sheds(now, waited, self.pace.usual()) && stands;
            if waiting.claim.deadline <= now {
                late.push(waiting);
            } else if waited >= self.limits.queue_wait || (shed && !self.closed) {
                delayed.push(waiting);
            } else {
                let size = waiting.claim.size;
                room.items = room.items.saturating_sub(size.items);
                room.bytes = room.bytes.saturating_sub(size.bytes);
                members.push(waiting);
            }
        }
        self.counts.expired += late.len() as u64;
        self.counts.delayed += delayed.len() as u64;
        self.answer(late, Undone::Deadline);
        self.answer(delayed, Undone::QueueDelay);
        members
    }

    fn send(&mut self, now: Instant, lane: usize, members: Vec<Waiting<T>>, course: Course) {
        let batch = self.next_batch;
        self.next_batch += 1;
        self.lanes[lane].sent(batch, now);
        // Each batch before it may take the watchdog's whole time.
        let ahead = u32::try_from(self.lanes[lane].in_flight()).unwrap_or(u32::MAX);
        let not_after = now + self.limits.watchdog * ahead;
        let items = members.iter().map(|waiting| waiting.claim.size.items).sum();
        self.flights.insert(batch, Flight { lane, items, course });
        self.actions.push_back(Action::Send(Sending { lane, batch, members, not_after }));
    }
}
