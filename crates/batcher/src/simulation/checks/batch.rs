//! What must hold of a batch that leaves.

use super::*;

impl Checks {
    pub(super) fn check_batch(&self, callers: &Callers, members: &[Waiting<Request>]) {
        let items: usize = members.iter().map(|waiting| waiting.claim.size.items).sum();
        let bytes: usize = members.iter().map(|waiting| waiting.claim.size.bytes).sum();
        assert!(!members.is_empty(), "an empty batch");
        assert!(items <= self.limits.batch_items, "a batch of {items} items");
        assert!(bytes <= self.limits.batch_bytes, "a batch of {bytes} bytes");
        let callers = members.iter().map(|waiting| &callers.all[waiting.entry.id]);
        let in_order = callers.clone().is_sorted_by(|a, b| a.number < b.number);
        assert!(in_order, "the order of admission is lost");
        for caller in callers {
            assert!(caller.number.is_some(), "sent without admission: {caller:?}");
            assert!(!caller.released, "sent after its answer: {caller:?}");
        }
    }

    /// A database that has just come back gets small batches first: one item, or one request.
    pub(super) fn check_slow_start(&self, members: &[Waiting<Request>]) {
        let items: usize = members.iter().map(|waiting| waiting.claim.size.items).sum();
        let ramp = (self.limits.batch_items / 16).max(1) << self.ramp;
        assert!(items <= ramp || members.len() == 1, "a batch of {items} items at the start");
    }

    /// While there is room, nothing waits longer than its linger or its backoff.
    pub(in crate::simulation) fn check_prompt(&self, now: Instant, callers: &Callers, id: usize) {
        let course = &self.courses[id];
        let (since, wait, room) = match course.failed {
            None => (callers.all[id].admitted, self.limits.batch_wait, self.open_since),
            Some(failed) => (failed, backoff(course.sends), self.room_since),
        };
        let Some(room) = room else { return };
        let due = (since + wait).max(room) + TIMER_LATE + WAKE_LATE;
        assert!(now <= due, "{id} waits since {:?}, and there is room", now - since);
    }

    /// A new batch leaves behind another only when there is as much to take as in that one and from those who may be
    /// about to come back, or it fills a batch, or is among the last.
    pub(super) fn check_follows(&self, context: &mut Context, lane: usize) {
        let Some((_, ahead)) = self.lanes[lane].in_flight.last_key_value() else { return };
        let queued = sum(self.queued, self.given_back(context.now));
        let returning = self.returning_items(context.now);
        assert!(
            queued.items >= *ahead + returning || self.fills_a_batch(queued) || self.closed,
            "a batch of {} is sent behind {ahead}, {returning} may come back, and it could grow",
            queued.items
        );
        context.seen.note(Sight::Followed);
    }

    pub(super) fn fills_a_batch(&self, size: Size) -> bool {
        size.items >= self.limits.batch_items || size.bytes >= self.limits.batch_bytes
    }

    /// What has left the queue unsent at this instant.
    pub(super) fn given_back(&self, now: Instant) -> Size {
        let (at, size) = self.given_back;
        if at == now { size } else { Size { items: 0, bytes: 0 } }
    }

    pub(super) fn check_fence(&self, now: Instant, not_after: Instant) {
        let fence = not_after - now;
        let longest = self.limits.watchdog * u32::try_from(self.limits.in_flight).unwrap();
        assert!(fence >= self.limits.watchdog && fence <= longest, "a fence after {fence:?}");
    }

    pub(super) fn fresh(
        &mut self,
        now: Instant,
        callers: &Callers,
        batch: u64,
        members: &[Waiting<Request>],
    ) {
        self.fresh_batches += 1;
        let poisons = members.iter().filter(|waiting| waiting.entry.poison).count();
        let root = Root { members: members.len(), poisons, ..Root::default() };
        self.roots.insert(batch, root);
        for Waiting { entry, claim, admitted } in members {
            let number = callers.all[entry.id].number;
            assert!(number > self.newest, "an older request is sent after a newer one");
            assert!(claim.deadline > now, "sent past its deadline");
            assert!(now - *admitted < self.limits.queue_wait, "sent after too long a wait");
            self.newest = number;
            self.courses[entry.id].root = batch;
            self.unqueued(claim.size);
        }
    }

    pub(super) fn again(&mut self, context: &mut Context, members: &[Waiting<Request>]) {
        let is_awaited = members.iter().any(|waiting| waiting.claim.deadline > context.now);
        assert!(is_awaited, "sent again, and nobody waits for it");
        let Course { in_doubt, rollbacks, paid, last, among, .. } =
            self.courses[members[0].entry.id];
        match last {
            Some(Failure::Poisoned) => {
                assert!(members.len() < among, "a poisoned batch is sent again whole");
                context.seen.note(Sight::DividedForPoison);
            }
            Some(Failure::Locked) if members.len() < among => {
                context.seen.note(Sight::DividedForLock);
            }
            _ => assert_eq!(members.len(), among, "a batch is sent again in part"),
        }
        assert!(in_doubt || rollbacks < ROLLBACKS_MAX, "sent again after {rollbacks} rollbacks");
        assert!(in_doubt || last != Some(Failure::Broken), "sent again, and will be rolled back");
        if paid {
            self.paid_batches += 1;
            let elapsed = (context.now - context.start).as_secs_f64();
            let earned = 10.0 + f64::from(self.fresh_batches) / 10.0 + elapsed;
            assert!(f64::from(self.paid_batches) <= earned + 1e-6, "the retry budget is overdrawn");
        }
    }
}
