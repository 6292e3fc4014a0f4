//! Questions about what would be answered, without an answer being given.

use super::direct::check_form;
use super::known::Known;
use super::{Key, Model, Reason, Transfer};

impl Model {
    /// Whether an id was decided for good.
    pub fn is_decided(&self, id: Key) -> bool {
        self.decided.contains_key(&id)
    }

    /// How this transfer differs from what was decided of its id; nothing: it does not, or nothing was.
    pub fn differs(&self, t: &Transfer) -> Option<Reason> {
        match self.known_transfer(t) {
            Known::Different(reason) | Known::Burnt(reason) => Some(reason),
            Known::Equal(_) | Known::No => None,
        }
    }

    /// Why this transfer would be refused by its form or by the hold that it names, under an id that is
    /// free.
    pub fn refuses(&self, now: i64, t: &Transfer) -> Option<Reason> {
        let named = t.pending_id.filter(|_| t.resolves());
        let hold = |id| self.check_hold(now, t, (t.ledger, id)).err();
        check_form(t).err().or_else(|| named.and_then(hold))
    }

    /// Judges as if an id had not been decided yet.
    pub fn without<T>(&mut self, id: Key, judge: impl FnOnce(&mut Self) -> T) -> T {
        let hidden = self.decided.remove(&id);
        let judged = judge(self);
        if let Some(hidden) = hidden {
            self.decided.insert(id, hidden);
        }
        judged
    }
}
