//! What the driver does, and what is checked as it does.

use super::*;

impl World {
    pub(super) fn act(&mut self) {
        if self.shell.stopped {
            return;
        }
        loop {
            let now = self.context.now;
            self.checks.polled(now);
            let Some(action) = self.engine.poll(now) else { break };
            self.opened |= self.engine.breaker() == BreakerState::Open;
            self.carry_out(action);
        }
        self.opened = false;
        let sessions = &self.shell.sessions;
        self.checks.at_rest(&mut self.context, &self.engine, sessions);
        self.count();
        if self.engine.is_drained() {
            self.context.note(|| "drained".into());
            self.stop();
        }
        self.timer += 1;
        if let Some(wake) = self.engine.next_wake(self.context.now) {
            let late = if self.context.chance(0.5) { TIMER_LATE } else { Default::default() };
            self.context.at(wake + late, Event::Timer(self.timer));
        }
    }

    pub(super) fn carry_out(&mut self, action: Action<Request>) {
        self.context.note(|| trace::action(&action));
        match &action {
            Action::Connect { lane } => {
                self.checks.connects(self.context.now, *lane);
                let connecting = self.shell.connecting.contains(&true);
                let open = self.engine.breaker() == BreakerState::Open;
                assert!(!(open && connecting), "two attempts while the breaker is open");
            }
            Action::Disconnect { lane } => {
                let is_hung = self.checks.is_hung(self.context.now, *lane);
                let is_due = self.opened || is_hung || !self.shell.is_usable(*lane);
                assert!(is_due, "lane {lane}: a good session is dropped");
                self.checks.session_gone(*lane);
            }
            Action::Send(sending) => {
                let breaker = self.engine.breaker();
                self.checks.sent(&mut self.context, &self.callers, sending, breaker);
            }
            Action::Answer { .. } => {}
        }
        if let Action::Answer { entries, undone } = action {
            return self.give_back(entries, undone);
        }
        self.shell.carry_out(&mut self.context, &mut self.database, action);
    }

    pub(super) fn give_back(&mut self, entries: Vec<Request>, undone: Undone) {
        for Request { id, .. } in entries {
            self.checks.undone(&mut self.context, &self.callers, id, undone);
            self.callers.reply(&mut self.context, id, Told::Undone(undone));
        }
    }

    pub(super) fn count(&mut self) {
        let counts = self.engine.take_counts();
        (0..counts.watchdogs).for_each(|_| self.context.seen.note(Sight::WatchdogFired));
    }

    pub(super) fn connected(&mut self, lane: usize, opened: bool) {
        if self.shell.stopped {
            return;
        }
        self.context.note(|| format!("lane {lane} connected: {opened}"));
        self.shell.connected(&mut self.context, &mut self.database, lane, opened);
        if opened {
            self.engine.connected(lane);
        } else {
            self.engine.connect_failed(self.context.now, lane);
        }
        self.act();
    }

    pub(super) fn report(&mut self, report: Report) {
        self.context.note(|| trace::report(&report));
        let now = self.context.now;
        if self.shell.stopped {
            return self.deaf(report);
        }
        match report {
            Report::Ended { lane, session } => {
                if self.shell.lost(lane, session) {
                    self.checks.session_gone(lane);
                    self.engine.disconnected(now, lane);
                }
            }
            Report::Applied { batch, members } => {
                self.checks.applied(&mut self.context, &members);
                self.engine.applied(now, batch);
                self.checks.ended(now, batch, Some(self.engine.patience()));
            }
            Report::Failed { batch, session, members, failure } => {
                self.shell.failed(session, failure);
                self.checks.ended(now, batch, None);
                self.checks.failed(now, batch, &members, failure);
                self.engine.failed(now, batch, members, failure);
            }
        }
        self.opened |= self.engine.breaker() == BreakerState::Open;
        // Sometimes several are taken before the engine is asked.
        if self.context.chance(0.8) { self.act() } else { self.wake() }
    }

    /// A report to a driver that was dropped: the members go with it.
    pub(super) fn deaf(&mut self, report: Report) {
        let Report::Failed { members, .. } = report else { return };
        for waiting in members {
            let told = Told::Undone(Undone::Unknown);
            self.callers.reply(&mut self.context, waiting.entry.id, told);
        }
    }
}
