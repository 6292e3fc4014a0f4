//! What must hold when the engine has nothing more to do, of its sessions, and at the end.

use super::*;

impl Checks {
    pub(in crate::simulation) fn polled(&mut self, now: Instant) {
        let (at, polls) = &mut self.polls;
        if *at != now {
            (*at, *polls) = (now, 0);
        }
        *polls += 1;
        assert!(*polls <= POLLS_MAX, "the engine spins");
    }

    /// An attempt to open a session begins.
    pub(in crate::simulation) fn connects(&mut self, now: Instant, lane: usize) {
        let attempts = &mut self.lanes[lane].attempts;
        attempts.retain(|at| now - *at < Duration::from_secs(1));
        attempts.push(now);
        assert!(attempts.len() <= ATTEMPTS_MAX, "a storm of attempts to open sessions");
    }

    /// The lane's session is gone.
    pub(in crate::simulation) fn session_gone(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        (lane.in_flight, lane.head_since) = (BTreeMap::new(), None);
    }

    /// Whether the engine may drop the session of a lane that seems well.
    pub(in crate::simulation) fn is_hung(&self, now: Instant, lane: usize) -> bool {
        self.lanes[lane].head_since.is_some_and(|since| now - since >= self.limits.watchdog)
    }

    /// When the engine has nothing more to do at this instant.
    pub(in crate::simulation) fn at_rest(
        &mut self,
        context: &mut Context,
        engine: &Engine<Request>,
        sessions: &[Option<usize>],
    ) {
        let now = context.now;
        self.note_room(now, engine.breaker(), sessions);
        assert_eq!(engine.held(), self.queued, "the books of the queue");
        assert!(self.queued.items <= self.limits.queue_items, "the queue's items");
        assert!(self.queued.bytes <= self.limits.queue_bytes, "the queue's bytes");
        if let Some(wake) = engine.next_wake(now) {
            assert!(wake > now, "to be woken in the past");
        }
        for lane in &self.lanes {
            let age = lane.head_since.map_or(Duration::ZERO, |since| now - since);
            assert!(age <= self.limits.watchdog + TIMER_LATE, "no answer for {age:?}");
        }
        let breaker = engine.breaker();
        if breaker != self.breaker {
            context.note(|| format!("breaker: {breaker:?}"));
            context.seen.note(match breaker {
                BreakerState::Open => Sight::BreakerOpened,
                BreakerState::HalfOpen => Sight::BreakerHalfOpen,
                BreakerState::Closed => Sight::BreakerClosedAgain,
            });
            (self.breaker, self.ramp) = (breaker, 0);
        }
    }

    pub(super) fn note_room(
        &mut self,
        now: Instant,
        breaker: BreakerState,
        sessions: &[Option<usize>],
    ) {
        let room = if breaker == BreakerState::Closed { self.limits.in_flight } else { 1 };
        let lanes = self.lanes.iter().zip(sessions);
        let mut free =
            lanes.filter(|(lane, up)| up.is_some() && lane.in_flight.len() < room).peekable();
        let has_room = free.peek().is_some();
        let leaves_anyway = self.closed || self.fills_a_batch(self.queued);
        // A new batch follows another only when it has half of all who are known, or is full.
        let returning = self.returning_items(now);
        let takes_new = free.any(|(lane, _)| {
            let ahead = lane.in_flight.last_key_value();
            leaves_anyway || ahead.is_none_or(|(_, items)| self.queued.items >= *items + returning)
        });
        let slots = self.lanes.len() * self.limits.in_flight;
        let is_open = takes_new && self.waiting.is_empty() && self.unreported.len() < slots;
        self.room_since = has_room.then(|| self.room_since.unwrap_or(now));
        self.open_since = is_open.then(|| self.open_since.unwrap_or(now));
    }

    /// One poison in a batch of n costs at most 2·log2(n) more sends, and nothing else is sent more
    /// often than its failures explain.
    pub(in crate::simulation) fn finally(&self) {
        for root in self.roots.values() {
            let depth = root.members.next_power_of_two().ilog2() as usize;
            assert!(root.poison_divisions <= root.poisons * depth, "{root:?}");
            let divisions = root.poison_divisions + root.lock_divisions;
            assert!(root.sends <= 1 + 2 * divisions + root.repeats, "{root:?}");
        }
    }
}
