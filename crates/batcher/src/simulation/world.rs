//! One run: the engine, its shell, its callers and its database, and what happens to them.

mod driver;
mod verdict;

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
                let is_shut = self.closed || engine.breaker() == BreakerState::Open;
                if callers.arrive(context, engine, id) {
                    assert!(!is_shut, "{id} is let in, and all is shut");
                    self.checks.queued(self.context.now, self.callers.all[id].claim.size);
                    self.wake();
                } else {
                    self.checks.refused(&self.callers, id);
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
        self.checks.closed();
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
}
