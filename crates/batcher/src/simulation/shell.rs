//! What `driver` does, step by step: carries out the engine's actions, and brings it what becomes of
//! them. Reports of what ends at the same time come in any order.

use super::callers::{Callers, Request, Told};
use super::context::{Context, Event};
use super::database::{Answered, Database};
use crate::Failure;
use crate::engine::{Action, Sending, Undone, Waiting};
use std::collections::{BTreeMap, BTreeSet};

/// What became of an action, as the engine will be told.
#[derive(Debug)]
pub(super) enum Report {
    Ended { lane: usize, session: usize },
    Applied { batch: u64, members: Vec<usize> },
    Failed { batch: u64, session: usize, members: Vec<Waiting<Request>>, failure: Failure },
}

#[derive(Default)]
pub(super) struct Shell {
    /// By lane: the session that batches are sent on.
    pub(super) sessions: Vec<Option<usize>>,
    /// By lane: an attempt to open a session is under way.
    pub(super) connecting: Vec<bool>,
    /// By session: its lane, and whether it has ended.
    opened: Vec<(usize, bool)>,
    /// Sessions of which a report says that they are not to be used again.
    unusable: BTreeSet<usize>,
    /// Batches whose sends have not ended.
    tasks: BTreeMap<u64, Task>,
    /// No longer driven: nothing is reported, and nothing done.
    pub(super) stopped: bool,
}

struct Task {
    session: usize,
    members: Vec<Waiting<Request>>,
}

impl Shell {
    pub(super) fn new(lanes: usize) -> Self {
        let (sessions, connecting) = (vec![None; lanes], vec![false; lanes]);
        Self { sessions, connecting, ..Self::default() }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn carry_out(
        &mut self,
        context: &mut Context,
        database: &mut Database,
        action: Action<Request>,
    ) {
        match action {
            Action::Connect { lane } => {
                assert!(!self.connecting[lane], "lane {lane} is connecting already");
                assert_eq!(self.sessions[lane], None, "lane {lane} has a session");
                self.connecting[lane] = true;
                let attempt = database.connect(context);
                let opened = attempt.opens;
                context.after(attempt.takes, Event::Connected { lane, opened });
            }
            Action::Disconnect { lane } => {
                if let Some(session) = self.sessions[lane].take() {
                    self.end(context, database, session);
                }
            }
            Action::Send(sending) => self.send(context, database, sending),
            Action::Answer { .. } => unreachable!("callers are told by the world"),
        }
    }

    fn send(&mut self, context: &mut Context, database: &mut Database, sending: Sending<Request>) {
        let Sending { lane, batch, members, not_after } = sending;
        let session = self.sessions[lane];
        let session = session.expect("a batch is sent on a lane without a session");
        assert!(!self.unusable.contains(&session), "a session is used that should be dropped");
        if self.opened[session].1 {
            return context.soon(failed(batch, session, members, Failure::Unknown));
        }
        let requests = members.iter().map(|waiting| waiting.entry).collect();
        database.send(context, session, batch, requests, not_after);
        self.tasks.insert(batch, Task { session, members });
    }

    /// Returns whether the lane has a session now.
    pub(super) fn connected(
        &mut self,
        context: &mut Context,
        database: &mut Database,
        lane: usize,
        opened: bool,
    ) {
        self.connecting[lane] = false;
        if opened {
            let session = database.open(context);
            self.opened.push((lane, false));
            self.sessions[lane] = Some(session);
        }
    }

    /// A session ends, for whatever reason: so does every send on it, the result unknown.
    pub(super) fn end(&mut self, context: &mut Context, database: &mut Database, session: usize) {
        let (lane, ended) = &mut self.opened[session];
        if std::mem::replace(ended, true) {
            return;
        }
        database.leave(session);
        context.soon(Event::Report(Report::Ended { lane: *lane, session }));
        for (batch, task) in self.tasks.extract_if(.., |_, task| task.session == session) {
            context.soon(failed(batch, session, task.members, Failure::Unknown));
        }
    }

    /// A send ends. Its callers are told before the engine is.
    pub(super) fn answered(
        &mut self,
        context: &mut Context,
        callers: &mut Callers,
        answered: Answered,
    ) {
        let Answered { batch, result } = answered;
        let Some(Task { session, members }) = self.tasks.remove(&batch) else { return };
        match result {
            Ok(()) => {
                let members: Vec<_> = members.iter().map(|waiting| waiting.entry.id).collect();
                for id in &members {
                    callers.reply(context, *id, Told::Applied);
                }
                context.soon(Event::Report(Report::Applied { batch, members }));
            }
            Err(failure) => context.soon(failed(batch, session, members, failure)),
        }
    }

    /// A send on this session has failed.
    pub(super) fn failed(&mut self, session: usize, failure: Failure) {
        if matches!(failure, Failure::Unknown | Failure::WrongSession) {
            self.unusable.insert(session);
        }
    }

    /// Whether a lane has a session, as far as reports say.
    pub(super) fn is_usable(&self, lane: usize) -> bool {
        self.sessions[lane].is_some_and(|session| !self.unusable.contains(&session))
    }

    /// Whether the session that ended was the lane's, which has none now.
    pub(super) fn lost(&mut self, lane: usize, session: usize) -> bool {
        self.sessions[lane].take_if(|current| *current == session).is_some()
    }

    /// The driver is dropped: whoever waits for a batch in flight is told that nobody will know.
    pub(super) fn stop(
        &mut self,
        context: &mut Context,
        database: &mut Database,
        callers: &mut Callers,
    ) {
        self.stopped = true;
        self.opened.iter_mut().for_each(|(_, ended)| *ended = true);
        (0..self.opened.len()).for_each(|session| database.leave(session));
        for task in std::mem::take(&mut self.tasks).into_values() {
            for waiting in task.members {
                callers.reply(context, waiting.entry.id, Told::Undone(Undone::Unknown));
            }
        }
    }
}

fn failed(batch: u64, session: usize, members: Vec<Waiting<Request>>, failure: Failure) -> Event {
    Event::Report(Report::Failed { batch, session, members, failure })
}
