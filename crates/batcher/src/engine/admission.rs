//! Who gets in. A queue is bounded by the time it takes to work off, not only by its length: what
//! would wait too long, or miss its deadline, is refused while refusing is cheap.

use super::{BreakerState, Claim, Engine, Pressure, Refused, SubmitError};
use std::time::Duration;
use tokio::time::Instant;

/// A client may hold so many times what is left free, so that there is always room for another.
/// Source: A. Choudhury, E. Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches"
/// (1998).
const SHARE_OF_FREE: usize = 8;

/// Bounds of what a client is told to wait.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(50);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

impl<T> Engine<T> {
    /// Whether a request would be admitted now.
    pub(crate) fn check(&mut self, now: Instant, claim: &Claim) -> Result<(), Refused> {
        let Some(reason) = self.refusal(now, claim) else { return Ok(()) };
        Err(Refused { reason, retry_after: self.retry_after(now) })
    }

    fn refusal(&self, now: Instant, claim: &Claim) -> Option<SubmitError> {
        let Claim { size, client, deadline } = *claim;
        let limits = &self.limits;
        if size.items > limits.batch_items || size.bytes > limits.batch_bytes {
            return Some(SubmitError::TooLarge);
        }
        if self.closed {
            return Some(SubmitError::Draining);
        }
        if self.breaker.state() == BreakerState::Open {
            return Some(SubmitError::BreakerOpen);
        }
        let held = self.queue.held();
        let items = held.items + size.items;
        if items > limits.queue_items || held.bytes + size.bytes > limits.queue_bytes {
            return Some(SubmitError::QueueFull);
        }
        // What was learnt under trouble must not keep out what would show that it has passed.
        if self.is_idle() && self.pressure != Pressure::Reject {
            return None;
        }
        let limit = self.item_limit(now);
        let (own, alone) = self.queue.share(client);
        // The limit moves: who holds nothing may go a little past it, or would find what others had
        // room for.
        let past = if own.items == 0 { limit / SHARE_OF_FREE } else { 0 };
        if items > limit + past {
            return Some(SubmitError::QueueDelay);
        }
        let free = limit.saturating_sub(held.items);
        let too_many = own.items + size.items > SHARE_OF_FREE * free;
        let too_much = own.bytes + size.bytes > SHARE_OF_FREE * (limits.queue_bytes - held.bytes);
        if own.items > 0 && (too_many || too_much) {
            return Some(match alone {
                false => SubmitError::ClientShare,
                true if too_much || limit == limits.queue_items => SubmitError::QueueFull,
                true => SubmitError::QueueDelay,
            });
        }
        let answered = now + self.wait(now) + self.pace.longest().unwrap_or_default();
        (answered > deadline).then_some(SubmitError::Deadline)
    }

    /// Items that may be queued now: what is worked off in the target time, but at least a full
    /// batch for every lane: nothing is learnt from batches that cannot fill.
    pub(crate) fn item_limit(&self, now: Instant) -> usize {
        let limits = &self.limits;
        if self.pressure == Pressure::Reject {
            return 0;
        }
        // It hangs: what came now would still be queued when its time is over.
        if self.overrun(now) > limits.target_wait.max(limits.queue_wait / 2) {
            return 0;
        }
        if self.breaker.state() == BreakerState::HalfOpen {
            return (2 * self.breaker.batch_items()).min(limits.queue_items);
        }
        let spare = limits.target_wait.saturating_sub(self.remaining(now)).as_secs_f64();
        let items = self.rate().map_or(0, |rate| (rate * spare) as usize);
        let one_batch_a_lane = limits.batch_items * self.lanes.len();
        let items = items.max(one_batch_a_lane).min(limits.queue_items);
        match self.pressure {
            Pressure::Throttle => (items / 2).max(limits.batch_items),
            _ => items,
        }
    }

    /// How long a request that came now would be queued: by the rate, but no longer than the full
    /// batches ahead usually take. The rate of small batches says little of large ones.
    fn wait(&self, now: Instant) -> Duration {
        let queued = self.queue.held();
        let by_rate = self.rate().map_or(0.0, |rate| queued.items as f64 / rate);
        let by_items = queued.items.div_ceil(self.breaker.batch_items());
        let batches = by_items.max(queued.bytes.div_ceil(self.limits.batch_bytes)) as f64;
        let by_batches = self.pace.usual().unwrap_or_default().mul_f64(batches);
        Duration::try_from_secs_f64(by_rate).map_or(by_batches, |wait| wait.min(by_batches))
            + self.remaining(now)
    }

    /// Items a second, over the lanes that work.
    fn rate(&self) -> Option<f64> {
        let up = self.lanes.iter().filter(|lane| lane.is_up()).count().max(1);
        self.pace.rate().map(|rate| rate * up as f64)
    }

    /// Until a lane has room: what its first batch usually takes still, and once it takes longer than
    /// that, as long again as it already does. A small queue may wait for it although there is room; that
    /// wait is one batch, and is left out.
    fn remaining(&self, now: Instant) -> Duration {
        let usual = self.pace.usual().unwrap_or_default();
        let until_room = |lane: &super::Lane| match lane.head_age(now) {
            Some(age) if lane.in_flight() >= self.lane_room() => age.abs_diff(usual),
            _ => Duration::ZERO,
        };
        let up = self.lanes.iter().filter(|lane| lane.is_up());
        up.map(until_room).min().unwrap_or_default()
    }

    /// By how much the least late lane exceeds what hardly any batch takes.
    fn overrun(&self, now: Instant) -> Duration {
        let longest = self.pace.longest().unwrap_or_default();
        let overrun =
            |lane: &super::Lane| lane.head_age(now).unwrap_or_default().saturating_sub(longest);
        self.lanes.iter().filter(|lane| lane.is_up()).map(overrun).min().unwrap_or_default()
    }

    /// When a refused request should come back: after the time the queue takes to drain, spread over
    /// twice that time more, so that those refused together do not come back together.
    pub(crate) fn retry_after(&mut self, now: Instant) -> Duration {
        let drained = match (self.closed, self.breaker.state()) {
            (true, _) => RETRY_AFTER_MAX / 5,
            (_, BreakerState::Open) => RETRY_AFTER_MAX / 10,
            _ if self.pressure == Pressure::Reject => RETRY_AFTER_MAX / 5,
            _ => self.wait(now),
        };
        let least = drained.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX);
        least.mul_f64(1.0 + 2.0 * self.random.f64())
    }
}
