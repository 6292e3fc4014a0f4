//! Who submits, and waits as `Ticket` does: for an answer, until its deadline at the latest.

use super::context::{Context, Event};
use super::plan::Visit;
use super::seen::Sight;
use crate::engine::{Engine, Undone};
use crate::{Claim, Client, Limits, Pressure, Refused, Size, SubmitError};
use std::time::Duration;
use tokio::time::Instant;

/// What is submitted, and all the database knows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) id: usize,
    /// It cannot be applied, nor anything together with it.
    pub(super) poison: bool,
    /// Of ten.
    pub(super) row: usize,
}

/// What a caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Refused(SubmitError),
    Applied,
    Undone(Undone),
    /// It hung up; whether its request was still queued.
    Left {
        withdrawn: bool,
    },
}

impl Told {
    /// Whether it was promised that nothing of its request is, or ever will be, applied.
    pub(super) fn never_applies(self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Undone(undone) => undone != Undone::Unknown,
            Self::Left { withdrawn } => withdrawn,
            Self::Applied => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) visit: Visit,
    pub(super) claim: Claim,
    /// Its admission number.
    pub(super) number: Option<u64>,
    pub(super) admitted: Instant,
    /// The engine has let go of its request: withdrawn, or replied to.
    pub(super) released: bool,
    pub(super) told: Option<Told>,
}

pub(super) struct Callers {
    pub(super) all: Vec<Caller>,
    limits: Limits,
    pressure: Pressure,
}

/// What is checked of a refusal's advice when to come back.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(15);

impl Callers {
    pub(super) fn new(visits: Vec<Visit>, limits: Limits, start: Instant) -> Self {
        let caller = |visit: Visit| {
            let Visit { items, bytes, client, patience, at, .. } = visit;
            let admitted = start + at;
            let size = Size { items, bytes };
            let claim = Claim { size, client, deadline: admitted + patience };
            Caller { visit, claim, number: None, admitted, released: false, told: None }
        };
        Self { all: visits.into_iter().map(caller).collect(), limits, pressure: Pressure::Accept }
    }

    pub(super) fn press(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// Returns whether it was admitted.
    pub(super) fn arrive(
        &mut self,
        context: &mut Context,
        engine: &mut Engine<Request>,
        id: usize,
    ) -> bool {
        let Caller { claim, visit, .. } = self.all[id];
        let submitted = engine.submit(context.now, claim, visit.request);
        context.note(|| {
            let Claim { size: Size { items, bytes }, client: Client(client), .. } = claim;
            let patience = visit.patience;
            format!("caller {id} of client {client}: {items} items, {bytes} bytes, {patience:?}")
        });
        match submitted {
            Ok(number) => {
                assert_ne!(self.pressure, Pressure::Reject, "nothing is admitted under pressure");
                self.all[id].number = Some(number);
                let expiry = self.limits.expiry(context.now, claim.deadline);
                context.at(expiry.at, Event::Expires(id));
                if let Some(leaves) = visit.leaves {
                    context.after(leaves, Event::Leaves(id));
                }
                true
            }
            Err(Refused { reason, retry_after }) => {
                assert!(RETRY_AFTER.contains(&retry_after), "come back after {retry_after:?}");
                context.seen.note(Sight::of(reason));
                self.tell(context, id, Told::Refused(reason));
                false
            }
        }
    }

    /// What the engine, or the send of its batch, has to say to a caller.
    pub(super) fn reply(&mut self, context: &mut Context, id: usize, told: Told) {
        let caller = &mut self.all[id];
        assert!(!caller.released, "{id} is replied to twice, now: {told:?}");
        caller.released = true;
        // It may have left, or been told "unknown" at its deadline.
        if caller.told.is_none() {
            self.tell(context, id, told);
        }
    }

    /// A caller was queued for as long as it may: it takes its request back, or waits on for one that
    /// was sent. Returns whether it was taken back.
    pub(super) fn expire(
        &mut self,
        context: &mut Context,
        engine: &mut Engine<Request>,
        id: usize,
    ) -> bool {
        let Caller { admitted, claim, told, .. } = self.all[id];
        if told.is_some() {
            return false;
        }
        let withdrawn = self.withdraw(engine, id);
        if withdrawn {
            context.seen.note(Sight::ExpiredInQueue);
            let by_deadline = self.limits.expiry(admitted, claim.deadline).by_deadline;
            let undone = if by_deadline { Undone::Deadline } else { Undone::QueueDelay };
            self.tell(context, id, Told::Undone(undone));
        } else {
            context.at(claim.deadline, Event::Deadline(id));
        }
        withdrawn
    }

    pub(super) fn give_up(&mut self, context: &mut Context, id: usize) {
        if self.all[id].told.is_none() {
            self.tell(context, id, Told::Undone(Undone::Unknown));
        }
    }

    /// Returns whether its request was taken back.
    pub(super) fn leave(
        &mut self,
        context: &mut Context,
        engine: &mut Engine<Request>,
        id: usize,
    ) -> bool {
        if self.all[id].told.is_some() {
            return false;
        }
        let withdrawn = self.withdraw(engine, id);
        let sight = if withdrawn { Sight::LeftWhileQueued } else { Sight::LeftInFlight };
        context.seen.note(sight);
        self.tell(context, id, Told::Left { withdrawn });
        withdrawn
    }

    fn withdraw(&mut self, engine: &mut Engine<Request>, id: usize) -> bool {
        let caller = &mut self.all[id];
        let Some(number) = caller.number else { return false };
        let Some(request) = engine.withdraw(number) else { return false };
        assert_eq!(request.id, id, "a caller took back another's request");
        assert!(!caller.released, "{id} was replied to, and is still queued");
        caller.released = true;
        true
    }

    fn tell(&mut self, context: &mut Context, id: usize, told: Told) {
        let caller = &mut self.all[id];
        assert_eq!(caller.told, None, "{id} has two answers");
        assert!(context.now <= caller.claim.deadline, "{id} is answered after its deadline");
        caller.told = Some(told);
        context.note(|| format!("caller {id} is told {told:?}"));
    }
}
