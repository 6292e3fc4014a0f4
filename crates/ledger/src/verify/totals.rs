//! The four balances of an account as they are folded.

use super::values::Stored;

/// Which side of the account a movement is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Debit,
    Credit,
}

/// What a movement does to its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Is held from now on.
    pub(super) hold: u128,
    /// Is no longer held.
    pub(super) release: u128,
    /// Is posted.
    pub(super) post: u128,
}

/// The balances after some movements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) debits_pending: u128,
    pub(super) debits_posted: u128,
    pub(super) credits_pending: u128,
    pub(super) credits_posted: u128,
}

/// What an account may not exceed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) debits: bool,
    pub(super) credits: bool,
    pub(super) overdraft: u128,
}

/// A limit that is exceeded: which, by how much used, and the bound.
pub(super) type Breach = (&'static str, u128, u128);

impl Totals {
    /// What differs in a row that should have these balances: the column, the fold, what is stored.
    pub(super) fn differences(
        &self,
        stored: &[Stored; 4],
    ) -> impl Iterator<Item = (&'static str, u128, Stored)> {
        let [debits_pending, debits_posted, credits_pending, credits_posted] = *stored;
        let columns = [
            ("debits_pending", self.debits_pending, debits_pending),
            ("debits_posted", self.debits_posted, debits_posted),
            ("credits_pending", self.credits_pending, credits_pending),
            ("credits_posted", self.credits_posted, credits_posted),
        ];
        columns.into_iter().filter(|(_, fold, stored)| stored.amount() != Some(*fold))
    }

    /// The balances after a further movement; why there are none.
    pub(super) fn after(mut self, side: Side, change: Change) -> Result<Self, &'static str> {
        let (pending, posted) = match side {
            Side::Debit => (&mut self.debits_pending, &mut self.debits_posted),
            Side::Credit => (&mut self.credits_pending, &mut self.credits_posted),
        };
        let held = pending.checked_add(change.hold).ok_or("what is held exceeds 2^128-1")?;
        *pending = held.checked_sub(change.release).ok_or("more is released than is held")?;
        *posted = posted.checked_add(change.post).ok_or("what is posted exceeds 2^128-1")?;
        Ok(self)
    }

    /// The limit that these balances exceed.
    pub(super) fn breach(&self, limits: &Limits) -> Option<Breach> {
        let debits = self.debits_pending.checked_add(self.debits_posted);
        let credits = self.credits_pending.checked_add(self.credits_posted);
        let (Some(debits), Some(credits)) = (debits, credits) else {
            return Some(("pending and posted must not exceed 2^128-1", u128::MAX, u128::MAX));
        };
        // A bound beyond 2^128-1 limits nothing.
        let bound = |backing: u128| backing.saturating_add(limits.overdraft);
        if limits.debits && debits > bound(self.credits_posted) {
            return Some(("debits_must_not_exceed_credits", debits, bound(self.credits_posted)));
        }
        if limits.credits && credits > bound(self.debits_posted) {
            return Some(("credits_must_not_exceed_debits", credits, bound(self.debits_posted)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movements_add_up_on_their_side() {
        let hold = Change { hold: 5, ..Change::default() };
        let post = Change { release: 5, post: 3, ..Change::default() };
        let totals = Totals::default().after(Side::Debit, hold).unwrap();
        assert_eq!(totals.debits_pending, 5);
        let totals = totals.after(Side::Debit, post).unwrap();
        assert_eq!(totals, Totals { debits_posted: 3, ..Totals::default() });
        let totals = totals.after(Side::Credit, hold).unwrap();
        assert_eq!((totals.debits_posted, totals.credits_pending), (3, 5));
        assert!(totals.after(Side::Debit, post).is_err(), "nothing is held there");
        let most = Change { post: u128::MAX, ..Change::default() };
        assert!(totals.after(Side::Debit, most).is_err());
    }

    #[test]
    fn limits_count_what_is_held_and_end_at_the_overdraft() {
        let at = |debits_pending, credits_posted| Totals {
            debits_pending,
            credits_posted,
            debits_posted: 10,
            ..Totals::default()
        };
        let limits = Limits { debits: true, overdraft: 5, ..Limits::default() };
        assert_eq!(at(5, 10).breach(&limits), None);
        let name = "debits_must_not_exceed_credits";
        assert_eq!(at(6, 10).breach(&limits), Some((name, 16, 15)));
        assert_eq!(at(6, 10).breach(&Limits::default()), None);
        let generous = Limits { overdraft: u128::MAX, ..limits };
        assert_eq!(at(1000, 10).breach(&generous), None);
        let limits = Limits { credits: true, ..Limits::default() };
        assert_eq!(at(0, 10).breach(&limits), None);
        assert_eq!(at(0, 11).breach(&limits).map(|(_, used, bound)| (used, bound)), Some((11, 10)));
        assert!(at(u128::MAX, 0).breach(&limits).is_some());
    }
}
