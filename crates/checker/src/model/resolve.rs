//! Rules 15 to 19 of posting and voiding, one hold or a chain of them; and expiry.

use super::direct::{check_open, check_versions};
use super::known::{Decision, Record};
use super::transfer::{
    Applied, CLOSING_CREDIT, CLOSING_DEBIT, POST_PENDING, Transfer, VOID_PENDING,
};
use super::undo::Was;
use super::{Key, MAX, Model, Reason};

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Open,
    /// Posted.
    Posted,
    /// Voided.
    Voided,
    /// Released by its expiry.
    Expired,
}

/// A hold that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its ledger and id.
    pub key: Key,
    /// As it was applied.
    pub applied: Applied,
    /// When it expires, if it does by itself.
    pub expires_at: Option<i128>,
    /// What became of it.
    pub state: State,
    /// It is the first hold of the chain that it was made in.
    pub begins_chain: bool,
}

impl Model {
    /// Every hold that was ever made.
    pub fn holds(&self) -> Vec<Hold> {
        let hold = |(key, decision): (&Key, &Decision)| match decision {
            Decision::Applied(r) if r.is_hold() => Some(Hold {
                key: *key,
                applied: r.applied.clone(),
                expires_at: r.expires_at(),
                state: r.state,
                begins_chain: self.chains.get(key).is_some_and(|(_, place)| *place == 0),
            }),
            _ => None,
        };
        self.decided.iter().filter_map(hold).collect()
    }

    /// The holds that are open although their time is over.
    pub fn due(&self, now: i64) -> Vec<Key> {
        let is_due = |hold: &Hold| {
            hold.state == State::Open && hold.expires_at.is_some_and(|at| at <= now.into())
        };
        self.holds().into_iter().filter(is_due).map(|hold| hold.key).collect()
    }

    /// Releases every hold whose time is over.
    pub fn expire(&mut self, now: i64) {
        for hold in self.due(now) {
            assert!(self.release(now, hold), "{hold:?} is due");
        }
    }

    /// Releases a hold whose time is over; nothing happens where there is none that is open and over.
    #[must_use]
    pub fn release(&mut self, now: i64, hold: Key) -> bool {
        let is_due = |record: &&Record| {
            record.is_hold() && record.state == State::Open && is_over(record, now)
        };
        let Some(record) = self.record(hold).filter(is_due).cloned() else { return false };
        self.settle(now, hold, &record, 0);
        self.reopen(hold, &record);
        self.set_state(hold, State::Expired);
        true
    }

    pub(super) fn resolve(&mut self, now: i64, t: &Transfer) -> Result<Applied, Reason> {
        let named = (t.ledger, t.pending_id.expect("it names its hold"));
        let chain = self.chains.get(&named).filter(|_| t.scope_chain);
        let holds = match chain {
            None => vec![named],
            Some((first, 0)) => self.holds_of(*first),
            Some(_) => return Err("pending_transfer_not_found"),
        };
        // What the caller says of accounts, code and versions is said of the hold it names.
        let further = Transfer {
            debit: 0,
            credit: 0,
            amount: None,
            code: 0,
            expect_debit: None,
            expect_credit: None,
            ..t.clone()
        };
        let mut amounts = Vec::new();
        for hold in &holds {
            amounts.push(self.check_hold(now, if *hold == named { t } else { &further }, *hold)?);
        }
        let at = t.timestamp.unwrap_or(now);
        for (hold, amount) in holds.iter().zip(&amounts) {
            let record = self.record(*hold).expect("it was just checked").clone();
            if t.has(VOID_PENDING) {
                self.settle(at, *hold, &record, 0);
                self.reopen(*hold, &record);
                self.set_state(*hold, State::Voided);
            } else {
                self.settle(at, *hold, &record, *amount);
                self.set_state(*hold, State::Posted);
            }
            if *hold != named {
                self.remember(|_| Was::Further((t.key(), *hold)));
                self.further.insert((t.key(), *hold));
            }
        }
        let hold = self.record(named).expect("it was just checked").applied.clone();
        Ok(Applied { amount: amounts[0], created_at: at, ..hold })
    }

    /// Rules 15 to 19 for one hold; the amount to post or to void.
    pub(super) fn check_hold(&self, now: i64, t: &Transfer, key: Key) -> Result<u128, Reason> {
        let hold = self.record(key).ok_or("pending_transfer_not_found")?;
        if !hold.is_hold() {
            return Err("pending_transfer_not_pending");
        }
        let Applied { amount: held, debit, credit, code, .. } = hold.applied;
        if t.debit != 0 && t.debit != debit {
            return Err("pending_transfer_has_different_debit_account");
        }
        if t.credit != 0 && t.credit != credit {
            return Err("pending_transfer_has_different_credit_account");
        }
        if t.code != 0 && t.code != code {
            return Err("pending_transfer_has_different_code");
        }
        let amount = match t.amount {
            None => held,
            Some(MAX) if t.has(POST_PENDING) => held,
            Some(amount) => amount,
        };
        if t.has(POST_PENDING) && amount > held {
            return Err("exceeds_pending_transfer_amount");
        }
        if t.has(VOID_PENDING) && amount != held {
            return Err("pending_transfer_has_different_amount");
        }
        match hold.state {
            State::Posted => return Err("pending_transfer_already_posted"),
            State::Voided => return Err("pending_transfer_already_voided"),
            State::Expired => return Err("pending_transfer_expired"),
            State::Open if is_over(hold, now) => return Err("pending_transfer_expired"),
            State::Open => {}
        }
        let (d, c) = (&self.accounts[&(key.0, debit)], &self.accounts[&(key.0, credit)]);
        self.check_import(t, d, c)?;
        if t.has(POST_PENDING) {
            check_open(d, c)?;
        }
        check_versions(t, d, c)?;
        Ok(amount)
    }

    /// The holds of a chain in the order of the chain.
    fn holds_of(&self, chain: Key) -> Vec<Key> {
        let members = self.chains.iter().filter(|(_, (first, _))| *first == chain);
        let mut holds: Vec<_> = members.map(|(hold, (_, place))| (*place, *hold)).collect();
        holds.sort_unstable();
        holds.into_iter().map(|(_, hold)| hold).collect()
    }

    /// Moves what is posted, and releases the rest.
    fn settle(&mut self, at: i64, (ledger, _): Key, hold: &Record, posted: u128) {
        let Applied { amount: held, debit, credit, .. } = hold.applied;
        self.change((ledger, debit), at, |b| {
            b.debits_pending -= held;
            b.debits_posted += posted;
        });
        self.change((ledger, credit), at, |b| {
            b.credits_pending -= held;
            b.credits_posted += posted;
        });
    }

    /// Opens what the hold had closed.
    fn reopen(&mut self, (ledger, _): Key, hold: &Record) {
        if hold.has(CLOSING_DEBIT) {
            self.account((ledger, hold.applied.debit)).closed = false;
        }
        if hold.has(CLOSING_CREDIT) {
            self.account((ledger, hold.applied.credit)).closed = false;
        }
    }

    fn set_state(&mut self, hold: Key, state: State) {
        self.remember(|before| Was::Decision(hold, before.decided.get(&hold).cloned()));
        if let Some(Decision::Applied(record)) = self.decided.get_mut(&hold) {
            record.state = state;
        }
    }
}

fn is_over(hold: &Record, now: i64) -> bool {
    hold.expires_at().is_some_and(|at| at <= now.into())
}
