//! The rules of the ledger in plain Rust, one item after another: the oracle of the property tests.
//! It shares no code and no data structure with the array function.

use std::collections::HashMap;

/// An account: limits and balances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Refuses debits beyond posted credits and `overdraft_limit`.
    pub limits_debits: bool,
    /// Refuses credits beyond posted debits and `overdraft_limit`.
    pub limits_credits: bool,
    /// Loosens either.
    pub overdraft_limit: u128,
    /// Debited for good.
    pub debits_posted: u128,
    /// Credited for good.
    pub credits_posted: u128,
    /// Transfers that changed it.
    pub version: i64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: u128,
    /// Its ledger.
    pub ledger: u32,
    /// The account debited.
    pub debit: u128,
    /// The account credited.
    pub credit: u128,
    /// How much.
    pub amount: u128,
    /// The caller's type.
    pub code: u32,
    /// The caller's text.
    pub reference: Option<String>,
}

/// What becomes of it: `None` is applied, else the reason; and whether that is a replay.
pub type Judgement = (Option<&'static str>, bool);

/// A ledger in memory.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// By ledger and id.
    pub accounts: HashMap<(u32, u128), Account>,
    decided: HashMap<(u32, u128), (Transfer, Option<&'static str>)>,
}

impl Model {
    /// Judges one transfer and applies it.
    pub fn apply(&mut self, transfer: &Transfer) -> Judgement {
        let key = (transfer.ledger, transfer.id);
        if let Some((known, reason)) = self.decided.get(&key) {
            return match (reason, difference(known, transfer)) {
                (Some(reason), _) => (Some(reason), true),
                (None, Some(difference)) => (Some(difference), false),
                (None, None) => (None, true),
            };
        }
        let (reason, burns) = self.judge(transfer);
        if reason.is_none() {
            let account = |id| (transfer.ledger, id);
            if let Some(debit) = self.accounts.get_mut(&account(transfer.debit)) {
                debit.debits_posted += transfer.amount;
                debit.version += 1;
            }
            if let Some(credit) = self.accounts.get_mut(&account(transfer.credit)) {
                credit.credits_posted += transfer.amount;
                credit.version += 1;
            }
        }
        if reason.is_none() || burns {
            self.decided.insert(key, (transfer.clone(), reason));
        }
        (reason, false)
    }

    /// The reason to refuse, and whether it burns the id.
    fn judge(&self, t: &Transfer) -> (Option<&'static str>, bool) {
        let plain = |reason| (Some(reason), false);
        let burning = |reason| (Some(reason), true);
        match t.id {
            0 => return plain("id_must_not_be_zero"),
            u128::MAX => return plain("id_must_not_be_max"),
            _ => {}
        }
        match t.debit {
            0 => return plain("debit_account_must_not_be_zero"),
            u128::MAX => return plain("debit_account_must_not_be_max"),
            _ => {}
        }
        match t.credit {
            0 => return plain("credit_account_must_not_be_zero"),
            u128::MAX => return plain("credit_account_must_not_be_max"),
            _ => {}
        }
        if t.debit == t.credit {
            return plain("accounts_must_be_different");
        }
        if t.ledger == 0 {
            return plain("ledger_must_not_be_zero");
        }
        if t.code == 0 {
            return plain("code_must_not_be_zero");
        }
        let Some(debit) = self.accounts.get(&(t.ledger, t.debit)) else {
            return burning("debit_account_not_found");
        };
        let Some(credit) = self.accounts.get(&(t.ledger, t.credit)) else {
            return burning("credit_account_not_found");
        };
        let Some(debits) = debit.debits_posted.checked_add(t.amount) else {
            return plain("overflows_debits_posted");
        };
        let Some(credits) = credit.credits_posted.checked_add(t.amount) else {
            return plain("overflows_credits_posted");
        };
        // A limit beyond 2^128-1 limits nothing.
        let within = |used: u128, backing: u128, overdraft: u128| {
            backing.checked_add(overdraft).is_none_or(|bound| used <= bound)
        };
        if debit.limits_debits && !within(debits, debit.credits_posted, debit.overdraft_limit) {
            return burning("exceeds_credits");
        }
        if credit.limits_credits && !within(credits, credit.debits_posted, credit.overdraft_limit) {
            return burning("exceeds_debits");
        }
        (None, false)
    }
}

fn difference(known: &Transfer, again: &Transfer) -> Option<&'static str> {
    if known.debit != again.debit {
        Some("exists_with_different_debit_account")
    } else if known.credit != again.credit {
        Some("exists_with_different_credit_account")
    } else if known.amount != again.amount {
        Some("exists_with_different_amount")
    } else if known.reference != again.reference {
        Some("exists_with_different_reference")
    } else if known.code != again.code {
        Some("exists_with_different_code")
    } else {
        None
    }
}
