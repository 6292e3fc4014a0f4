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

    /// Slot first, batch second: while every slot is taken the queue fills and batches grow. A batch
    /// is cut only when it can be sent: until then its requests can still leave, or be refused.
    pub(super) fn dispatch(&mut self, now: Instant) {
        while let Some(lane) = self.free_lane() {
            if let Some(place) = self.resends.iter().position(|resend| resend.at <= now) {
                let Some(resend) = self.resends.remove(place) else { return };
                self.send(now, lane, resend.members, resend.course);
                continue;
            }
            let is_due = self.leaves_at().is_some_and(|at| at <= now);
            if !is_due || self.flights.len() + self.resends.len() >= self.slots() {
                return;
            }
            let members = self.cut(now);
            if !members.is_empty() {
                self.budget.earn();
                self.divisions.earn();
                self.send(now, lane, members, Course::new());
            }
        }
    }

    /// Whether a lane has room: else nothing leaves before something else happens.
    pub(crate) fn has_room(&self) -> bool {
        self.free_lane().is_some()
    }

    /// The lane with the most room.
    fn free_lane(&self) -> Option<usize> {
        let room = self.lane_room();
        let free = (0..self.lanes.len())
            .filter(|lane| self.lanes[*lane].is_up() && self.lanes[*lane].in_flight() < room);
        free.min_by_key(|lane| self.lanes[*lane].in_flight())
    }

    /// When the batch that would form now leaves, full or not.
    pub(super) fn leaves_at(&self) -> Option<Instant> {
        let oldest = self.queue.oldest()?;
        let held = self.queue.held();
        let full =
            held.items >= self.breaker.batch_items() || held.bytes >= self.limits.batch_bytes;
        let at_once = full || self.closed;
        Some(oldest.admitted + if at_once { Duration::ZERO } else { self.limits.batch_wait })
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
