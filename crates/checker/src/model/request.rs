//! The items of a request in order: rules 1 to 8, and chains.

use super::account::{self, NewAccount, Snapshot};
use super::known::{Decision, Known};
use super::transfer::{self, Applied, Transfer};
use super::{Judgement, Key, MAX, Model, Reason, STICKY};

/// What transfers and accounts have in common.
pub(super) trait Item {
    type Applied;
    fn key(&self) -> Key;
    fn is_linked(&self) -> bool;
    fn is_imported(&self) -> bool;
    fn timestamp(&self) -> Option<i64>;
    /// What its id says.
    fn known(&self, model: &Model) -> Known<Self::Applied>;
    /// Its own rules, and its effects if it breaks none.
    fn apply(&self, model: &mut Model, now: i64) -> Result<Self::Applied, Reason>;
    /// Whether it made a hold, by the first of which its chain is named.
    fn is_hold(&self) -> bool;
    /// Notes that it was applied as the hold of a chain at this place, from 0.
    fn joined(&self, model: &mut Model, first: Key, place: usize);
}

impl Model {
    pub(super) fn request<I: Item>(&mut self, now: i64, items: &[I]) -> Vec<Judgement<I::Applied>> {
        let imports = items.first().is_some_and(I::is_imported);
        let mut judged = Vec::new();
        let mut rest = items;
        while !rest.is_empty() {
            let end = rest.iter().position(|item| !item.is_linked());
            let (chain, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            rest = after;
            match chain {
                [item] if !item.is_linked() => {
                    let judgement = self.one(now, imports, item, true);
                    if judgement.outcome.as_ref().is_err_and(|reason| STICKY.contains(reason)) {
                        self.burn(item, judgement.outcome.as_ref().err().expect("it is refused"));
                    }
                    judged.push(judgement);
                }
                members => judged.extend(self.chain(now, imports, members)),
            }
        }
        judged
    }

    /// All or nothing. The last member may still be linked: then the request ended too early.
    fn chain<I: Item>(
        &mut self,
        now: i64,
        imports: bool,
        members: &[I],
    ) -> Vec<Judgement<I::Applied>> {
        let open = members.last().is_some_and(I::is_linked);
        let is_known = |member: &I| matches!(member.known(self), Known::Equal(_));
        let repeated = !open && members.iter().all(is_known);
        self.begin_chain();

        let mut judged: Vec<Judgement<I::Applied>> = Vec::new();
        // Once it is broken: whether that burns the members' ids.
        let mut broken = None;
        for (place, member) in members.iter().enumerate() {
            if let Some(burns) = broken {
                judged.push(self.after_the_break(member, burns));
                continue;
            }
            let judgement = match open && place + 1 == members.len() {
                true => refused("linked_event_chain_open"),
                false => self.one(now, imports, member, repeated),
            };
            let Err(reason) = judgement.outcome else {
                judged.push(judgement);
                continue;
            };
            self.undo_chain();
            // Refused and replayed: its id was burnt before.
            let burns = judgement.replayed || STICKY.contains(&reason);
            if burns {
                members[..place].iter().for_each(|other| self.burn(other, "linked_event_failed"));
                self.burn(member, reason);
            }
            broken = Some(burns);
            judged = members[..place].iter().map(|_| refused("linked_event_failed")).collect();
            judged.push(judgement);
        }
        self.keep_chain();
        if broken.is_none() && !repeated {
            let holds: Vec<_> = members.iter().filter(|member| member.is_hold()).collect();
            for (place, hold) in holds.iter().enumerate() {
                hold.joined(self, holds[0].key(), place);
            }
        }
        judged
    }

    fn after_the_break<I: Item>(&mut self, member: &I, burns: bool) -> Judgement<I::Applied> {
        if let Known::Burnt(reason) = member.known(self) {
            return Judgement { outcome: Err(reason), replayed: true };
        }
        if burns {
            self.burn(member, "linked_event_failed");
        }
        refused("linked_event_failed")
    }

    /// Rules 3 to 8, then the item's own. `repeats`: it may be applied already, else that breaks its
    /// chain.
    fn one<I: Item>(
        &mut self,
        now: i64,
        imports: bool,
        item: &I,
        repeats: bool,
    ) -> Judgement<I::Applied> {
        let timestamp = item.timestamp();
        match (imports, item.is_imported()) {
            (true, false) => return refused("imported_event_expected"),
            (false, true) => return refused("imported_event_not_expected"),
            (false, false) if timestamp.is_some() => return refused("timestamp_must_be_absent"),
            (true, true) if timestamp.is_some_and(|at| at >= now) => {
                return refused("imported_event_timestamp_must_not_advance");
            }
            _ => {}
        }
        match item.key() {
            (_, 0) => return refused("id_must_not_be_zero"),
            (_, MAX) => return refused("id_must_not_be_max"),
            _ => {}
        }
        match item.known(self) {
            Known::Equal(applied) if repeats => Judgement { outcome: Ok(applied), replayed: true },
            Known::Equal(_) => refused("exists"),
            Known::Different(reason) => refused(reason),
            Known::Burnt(reason) => Judgement { outcome: Err(reason), replayed: true },
            Known::No => Judgement { outcome: item.apply(self, now), replayed: false },
        }
    }

    /// An id that can be taken, and is not, has this answer from now on.
    fn burn<I: Item>(&mut self, item: &I, reason: Reason) {
        if !matches!(item.key(), (_, 0 | MAX)) {
            self.decided.entry(item.key()).or_insert(Decision::Burnt(reason));
        }
    }
}

fn refused<A>(reason: Reason) -> Judgement<A> {
    Judgement { outcome: Err(reason), replayed: false }
}

impl Item for Transfer {
    type Applied = Applied;

    fn key(&self) -> Key {
        self.key()
    }

    fn is_linked(&self) -> bool {
        self.has(transfer::LINKED)
    }

    fn is_imported(&self) -> bool {
        self.has(transfer::IMPORTED)
    }

    fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    fn known(&self, model: &Model) -> Known<Applied> {
        model.known_transfer(self)
    }

    fn apply(&self, model: &mut Model, now: i64) -> Result<Applied, Reason> {
        model.apply_transfer(now, self)
    }

    fn is_hold(&self) -> bool {
        self.has(transfer::PENDING)
    }

    fn joined(&self, model: &mut Model, first: Key, place: usize) {
        model.chains.insert(self.key(), (first, place));
    }
}

impl Item for NewAccount {
    type Applied = Snapshot;

    fn key(&self) -> Key {
        self.key()
    }

    fn is_linked(&self) -> bool {
        self.has(account::LINKED)
    }

    fn is_imported(&self) -> bool {
        self.has(account::IMPORTED)
    }

    fn timestamp(&self) -> Option<i64> {
        self.timestamp
    }

    fn known(&self, model: &Model) -> Known<Snapshot> {
        model.known_account(self)
    }

    fn apply(&self, model: &mut Model, now: i64) -> Result<Snapshot, Reason> {
        model.create_account(now, self)
    }

    fn is_hold(&self) -> bool {
        false
    }

    fn joined(&self, _: &mut Model, _: Key, _: usize) {}
}
