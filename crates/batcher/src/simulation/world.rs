//! One run: the engine, its shell, its callers and its database, and what happens to them.

use super::callers::{Callers, Request, Told};
use super::checks::{Checks, TIMER_LATE};
use super::context::{Context, Event};
use super::database::Database;
use super::plan::Plan;
use super::seen::{Seen, Sight};
use super::shell::{Report, Shell};
use super::trace::{self, Trace};
use super::weather::Weather;
use crate::Pressure;
use crate::engine::{Action, BreakerState, Engine, Undone};

/// A run that does not come to rest within so many events never will.
const EVENTS_MAX: usize = 20_000;

pub(super) struct World {
    plan: Plan,
    context: Context,
    engine: Engine<Request>,
    shell: Shell,
    database: Database,
    callers: Callers,
    checks: Checks,
    /// The driver is woken already.
    woken: bool,
    /// The timer that counts.
    timer: u64,
    closed: bool,
    /// The breaker has opened since the engine was last at rest.
    opened: bool,
}

/// Runs one seed to its end. Panics when anything is not as it must be.
pub(super) fn run(seed: u64, trace: Trace) -> (u64, Seen) {
    let mut world = World::new(seed, trace);
    world.schedule();
    for _ in 0..EVENTS_MAX {
        let Some(event) = world.context.next() else {
            world.judge_the_end();
            return (world.context.trace.finish(), world.context.seen);
        };
        world.happens(event);
    }
    panic!("it does not come to rest");
}

impl World {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut context = Context::new(seed, trace);
        let plan = Plan::new(&mut context.random);
        context.note(|| format!("{:?}, {} lanes, {:?}", plan.limits, plan.lanes, plan.weathers));
        let engine = Engine::new(plan.limits, plan.lanes, context.random.u64(..));
        let callers = Callers::new(plan.visits.clone(), plan.limits, context.start);
        let checks = Checks::new(plan.limits, plan.lanes, plan.visits.len(), context.start);
        Self {
            shell: Shell::new(plan.lanes),
            database: Database::new(plan.usual),
            plan,
            context,
            engine,
            callers,
            checks,
            woken: false,
            timer: 0,
            closed: false,
            opened: false,
        }
    }

    fn schedule(&mut self) {
        let Self { plan, context, .. } = self;
        context.after(Default::default(), Event::Act);
        for (id, visit) in plan.visits.iter().enumerate() {
            context.after(visit.at, Event::Arrives(id));
        }
        for (number, (at, _)) in plan.weathers.iter().enumerate() {
            context.after(*at, Event::Turns(number));
        }
        for (at, pressure) in &plan.pressures {
            context.after(*at, Event::Presses(*pressure));
        }
        if let Some(at) = plan.closes {
            context.after(at, Event::Closes);
        }
        if let Some((at, stops)) = plan.abandons {
            context.after(at, Event::Abandons { stops });
        }
        context.after(plan.heals, Event::Heals);
        context.after(plan.judged, Event::Judged);
    }

    fn happens(&mut self, event: Event) {
        let Self { context, engine, callers, database, shell, .. } = self;
        match event {
            Event::Arrives(id) => {
                if callers.arrive(context, engine, id) {
                    self.checks.queued(self.callers.all[id].claim.size);
                    self.wake();
                }
            }
            Event::Expires(id) => {
                let withdrawn = callers.expire(context, engine, id);
                self.withdrew(id, withdrawn);
            }
            Event::Leaves(id) => {
                let withdrawn = callers.leave(context, engine, id);
                self.withdrew(id, withdrawn);
            }
            Event::Deadline(id) => callers.give_up(context, id),
            Event::Executes(job) => database.execute(context, job),
            Event::Ends(session) => shell.end(context, database, session),
            Event::Answered(answered) => shell.answered(context, callers, answered),
            Event::Act => {
                self.woken = false;
                self.act();
            }
            Event::Timer(timer) if timer == self.timer => self.act(),
            Event::Timer(_) => {}
            Event::Connected { lane, opened } => self.connected(lane, opened),
            Event::Report(report) => self.report(report),
            Event::Turns(number) => self.turn(self.plan.weathers[number].1),
            Event::Heals => {
                self.press(Pressure::Accept);
                self.context.note(|| "all faults are over".into());
                self.database.heal(&mut self.context);
            }
            Event::Presses(pressure) => self.press(pressure),
            Event::Closes => self.close(),
            Event::Abandons { stops } => self.abandon(stops),
            Event::Judged => self.judge(),
        }
    }

    // What callers and operators do.

    fn wake(&mut self) {
        if !std::mem::replace(&mut self.woken, true) {
            self.context.soon(Event::Act);
        }
    }

    fn withdrew(&mut self, id: usize, withdrawn: bool) {
        if withdrawn {
            if !self.shell.stopped {
                self.checks.check_prompt(self.context.now, &self.callers, id);
            }
            self.checks.unqueued(self.callers.all[id].claim.size);
            if self.engine.is_drained() {
                self.wake();
            }
        }
    }

    fn press(&mut self, pressure: Pressure) {
        self.context.note(|| format!("pressure: {pressure:?}"));
        self.engine.set_pressure(pressure);
        self.callers.press(pressure);
    }

    fn turn(&mut self, weather: Weather) {
        self.context.note(|| format!("weather: {weather:?}"));
        self.database.turn(&mut self.context, weather);
    }

    fn close(&mut self) {
        self.context.note(|| "close".into());
        self.closed = true;
        self.engine.close();
        if self.shell.in_flight() > 0 {
            self.context.seen.note(Sight::DrainedWithWorkInFlight);
        }
        if self.checks.queued_items() > 0 {
            self.context.seen.note(Sight::DrainedWithWorkQueued);
        }
        self.wake();
    }

    fn abandon(&mut self, stops: bool) {
        self.context.note(|| format!("abandon, stops: {stops}"));
        let queued = self.checks.queued_items();
        let (items, answers) = self.engine.abandon();
        self.checks.abandoned();
        assert_eq!(items, queued, "what was still queued");
        for (entries, undone) in answers {
            self.give_back(entries, undone);
        }
        if queued > 0 {
            self.context.seen.note(Sight::Abandoned);
        }
        if stops {
            self.stop();
        } else {
            self.wake();
        }
    }

    fn stop(&mut self) {
        self.shell.stop(&mut self.context, &mut self.database, &mut self.callers);
    }

    // What the driver does.

    fn act(&mut self) {
        if self.shell.stopped {
            return;
        }
        loop {
            let now = self.context.now;
            self.checks.polled(now);
            let Some(action) = self.engine.poll(now) else { break };
            self.carry_out(action);
        }
        self.opened = false;
        self.checks.at_rest(&mut self.context, &self.engine, &self.shell.sessions);
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

    fn carry_out(&mut self, action: Action<Request>) {
        self.context.note(|| trace::action(&action));
        match &action {
            Action::Connect { .. } => {
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

    fn give_back(&mut self, entries: Vec<Request>, undone: Undone) {
        for Request { id, .. } in entries {
            self.checks.undone(&mut self.context, &self.callers, id, undone);
            self.callers.reply(&mut self.context, id, Told::Undone(undone));
        }
    }

    fn count(&mut self) {
        let counts = self.engine.take_counts();
        (0..counts.watchdogs).for_each(|_| self.context.seen.note(Sight::WatchdogFired));
    }

    fn connected(&mut self, lane: usize, opened: bool) {
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

    fn report(&mut self, report: Report) {
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
                self.checks.ended(now, batch);
                self.checks.applied(&mut self.context, &members);
                self.engine.applied(now, batch);
            }
            Report::Failed { batch, session, members, failure } => {
                self.shell.failed(session, failure);
                self.checks.ended(now, batch);
                self.checks.failed(now, batch, &members, failure);
                self.engine.failed(now, batch, members, failure);
                self.opened |= self.engine.breaker() == BreakerState::Open;
            }
        }
        // Sometimes several are taken before the engine is asked.
        if self.context.chance(0.8) { self.act() } else { self.wake() }
    }

    /// A report to a driver that was dropped: the members go with it.
    fn deaf(&mut self, report: Report) {
        let Report::Failed { members, .. } = report else { return };
        for waiting in members {
            let told = Told::Undone(Undone::Unknown);
            self.callers.reply(&mut self.context, waiting.entry.id, told);
        }
    }

    // What must be the case.

    /// Some time after the last fault.
    fn judge(&mut self) {
        self.context.note(|| "judged".into());
        if self.closed {
            assert!(self.shell.stopped, "closed, and not drained");
            return;
        }
        let last = self.callers.all.last().expect("the last caller");
        assert_eq!(last.told, Some(Told::Applied), "all is well again, but for the last request");
        assert_eq!(self.engine.breaker(), BreakerState::Closed);
        assert_eq!(self.engine.lanes_up(), self.plan.lanes, "lanes up");
        assert_eq!(self.engine.held().items, 0, "items in the queue");
        assert_eq!(self.shell.in_flight(), 0, "batches in flight");
    }

    /// When nothing more can happen: every zombie had its chance.
    fn judge_the_end(&mut self) {
        self.checks.finally();
        for (id, caller) in self.callers.all.iter().enumerate() {
            let told = caller.told.unwrap_or_else(|| panic!("{id} has no answer"));
            let applied = self.database.has_applied(id);
            let sent = self.checks.courses[id].sends > 0;
            let admitted = caller.number.is_some();
            assert_eq!(admitted, caller.released, "{id}: the engine keeps or invents it");
            assert_eq!(admitted, !matches!(told, Told::Refused(_)));
            assert!(sent || !applied, "{id} is applied and was not sent");
            assert!(!(applied && told.never_applies()), "{id} is applied, and was told {told:?}");
            assert!(applied || told != Told::Applied, "{id} was told so, and is not applied");
            if told == Told::Undone(Undone::Unknown) {
                assert!(sent, "{id} was not sent, and was told it may have been applied");
                self.context.seen.note(match applied {
                    true => Sight::UnknownThatWasApplied,
                    false => Sight::UnknownThatWasNot,
                });
            }
        }
    }
}
