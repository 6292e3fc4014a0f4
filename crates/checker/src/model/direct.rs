//! Rules 9 to 20 of direct transfers and holds; 9 to 13 also of posting and voiding.

use super::account::{
    Account, Balances, CREDITS_MUST_NOT_EXCEED_DEBITS, DEBITS_MUST_NOT_EXCEED_CREDITS,
};
use super::known::{Decision, Record};
use super::transfer::{
    Applied, BALANCING_CREDIT, BALANCING_DEBIT, CANCEL, CLOSING_CREDIT, CLOSING_DEBIT, IMPORTED,
    PENDING, POST_PENDING, Transfer, VOID_PENDING,
};
use super::undo::Was;
use super::{Key, MAX, Model, Reason};

/// PostgreSQL's times end here, with the year 294276; microseconds since 1970.
const END_OF_TIME: i128 = 9_224_318_016_000_000_000;

/// Rules 9 to 13: what the transfer alone can tell.
pub(super) fn check_form(t: &Transfer) -> Result<(), Reason> {
    if t.has(CANCEL) {
        return Err(if t.ledger == 0 { "ledger_must_not_be_zero" } else { "cancelled" });
    }
    let closing = CLOSING_DEBIT | CLOSING_CREDIT;
    if t.has(POST_PENDING) && t.has(VOID_PENDING)
        || t.resolves() && t.has(PENDING | BALANCING_DEBIT | BALANCING_CREDIT | closing)
    {
        return Err("flags_are_mutually_exclusive");
    }
    if t.resolves() {
        match t.pending_id {
            None | Some(0) => return Err("pending_id_must_not_be_zero"),
            Some(MAX) => return Err("pending_id_must_not_be_max"),
            Some(id) if id == t.id => return Err("pending_id_must_be_different"),
            Some(_) => {}
        }
    } else {
        match (t.debit, t.credit) {
            (0, _) => return Err("debit_account_must_not_be_zero"),
            (MAX, _) => return Err("debit_account_must_not_be_max"),
            (_, 0) => return Err("credit_account_must_not_be_zero"),
            (_, MAX) => return Err("credit_account_must_not_be_max"),
            (debit, credit) if debit == credit => return Err("accounts_must_be_different"),
            _ => {}
        }
        if t.pending_id.is_some() {
            return Err("pending_id_must_be_absent");
        }
    }
    if t.timeout > 0 && !t.has(PENDING) {
        return Err("timeout_reserved_for_pending_transfer");
    }
    if t.has(closing) && !t.has(PENDING) {
        return Err("closing_transfer_must_be_pending");
    }
    if t.ledger == 0 {
        return Err("ledger_must_not_be_zero");
    }
    if t.code == 0 && !t.resolves() {
        return Err("code_must_not_be_zero");
    }
    Ok(())
}

impl Model {
    pub(super) fn apply_transfer(&mut self, now: i64, t: &Transfer) -> Result<Applied, Reason> {
        check_form(t)?;
        let applied = match t.resolves() {
            true => self.resolve(now, t)?,
            false => self.direct(now, t)?,
        };
        let record = Record::new(t, applied.clone());
        self.remember(|before| Was::Decision(t.key(), before.decided.get(&t.key()).cloned()));
        self.decided.insert(t.key(), Decision::Applied(record.into()));
        if t.has(IMPORTED) {
            self.remember(|before| Was::ImportedTransfers(t.ledger, before.last_import(t.ledger)));
            self.imported_transfers.insert(t.ledger, applied.created_at);
        }
        Ok(applied)
    }

    /// Rules 14 and 16 to 20, and the effects.
    fn direct(&mut self, now: i64, t: &Transfer) -> Result<Applied, Reason> {
        let (debit, credit) = ((t.ledger, t.debit), (t.ledger, t.credit));
        let d = self.accounts.get(&debit).ok_or("debit_account_not_found")?;
        let c = self.accounts.get(&credit).ok_or("credit_account_not_found")?;
        self.check_import(t, d, c)?;
        check_open(d, c)?;
        let mut amount = t.amount.expect("only posting and voiding may leave it out");
        if t.has(BALANCING_DEBIT) {
            amount = amount.min(d.room_to_debit());
        }
        if t.has(BALANCING_CREDIT) {
            amount = amount.min(c.room_to_credit());
        }
        check_overflows(now, t, amount, d.balances, c.balances)?;
        check_versions(t, d, c)?;
        if d.asked.has(DEBITS_MUST_NOT_EXCEED_CREDITS) && amount > d.room_to_debit() {
            return Err("exceeds_credits");
        }
        if c.asked.has(CREDITS_MUST_NOT_EXCEED_DEBITS) && amount > c.room_to_credit() {
            return Err("exceeds_debits");
        }

        let created_at = t.timestamp.unwrap_or(now);
        let pending = t.has(PENDING);
        self.change(debit, created_at, |b| match pending {
            true => b.debits_pending += amount,
            false => b.debits_posted += amount,
        });
        self.change(credit, created_at, |b| match pending {
            true => b.credits_pending += amount,
            false => b.credits_posted += amount,
        });
        for (flag, key) in [(CLOSING_DEBIT, debit), (CLOSING_CREDIT, credit)] {
            if t.has(flag) {
                self.account(key).closed = true;
            }
        }
        Ok(Applied { amount, debit: t.debit, credit: t.credit, code: t.code, created_at })
    }

    /// Rule 16.
    pub(super) fn check_import(
        &self,
        t: &Transfer,
        d: &Account,
        c: &Account,
    ) -> Result<(), Reason> {
        if !t.has(IMPORTED) {
            return Ok(());
        }
        let at = t.timestamp.expect("an import has a time");
        let last_import = self.imported_transfers.get(&t.ledger);
        let last_change = |a: &Account| a.version > 0 && at <= a.changed_at;
        if last_import.is_some_and(|last| at <= *last) || last_change(d) || last_change(c) {
            return Err("imported_event_timestamp_must_not_regress");
        }
        if at <= d.created_at {
            return Err("imported_event_timestamp_must_postdate_debit_account");
        }
        if at <= c.created_at {
            return Err("imported_event_timestamp_must_postdate_credit_account");
        }
        if t.timeout > 0 {
            return Err("imported_event_timeout_must_be_zero");
        }
        Ok(())
    }

    /// An account that is known to exist, and is about to change.
    pub(super) fn account(&mut self, key: Key) -> &mut Account {
        self.remember(|before| Was::Account(key, before.accounts.get(&key).cloned().map(Box::new)));
        self.accounts.get_mut(&key).expect("the account exists")
    }

    pub(super) fn change(&mut self, key: Key, at: i64, change: impl FnOnce(&mut Balances)) {
        let account = self.account(key);
        let mut balances = account.balances;
        change(&mut balances);
        account.change(at, balances);
    }
}

/// Rule 17.
pub(super) fn check_open(d: &Account, c: &Account) -> Result<(), Reason> {
    if d.closed {
        return Err("debit_account_already_closed");
    }
    if c.closed {
        return Err("credit_account_already_closed");
    }
    Ok(())
}

/// Rule 18.
fn check_overflows(
    now: i64,
    t: &Transfer,
    amount: u128,
    d: Balances,
    c: Balances,
) -> Result<(), Reason> {
    let overflows = |balance: u128| balance.checked_add(amount).is_none();
    if t.has(PENDING) && overflows(d.debits_pending) {
        return Err("overflows_debits_pending");
    }
    if t.has(PENDING) && overflows(c.credits_pending) {
        return Err("overflows_credits_pending");
    }
    if overflows(d.debits_posted) {
        return Err("overflows_debits_posted");
    }
    if overflows(c.credits_posted) {
        return Err("overflows_credits_posted");
    }
    if overflows(d.debits_pending + d.debits_posted) {
        return Err("overflows_debits");
    }
    if overflows(c.credits_pending + c.credits_posted) {
        return Err("overflows_credits");
    }
    if i128::from(now) + i128::from(t.timeout) * 1_000_000 >= END_OF_TIME {
        return Err("overflows_timeout");
    }
    Ok(())
}

/// Rule 19.
pub(super) fn check_versions(t: &Transfer, d: &Account, c: &Account) -> Result<(), Reason> {
    let moved_on = |expected: Option<i64>, account: &Account| {
        expected.is_some_and(|version| version != account.version)
    };
    if moved_on(t.expect_debit, d) || moved_on(t.expect_credit, c) {
        return Err("version_mismatch");
    }
    Ok(())
}
