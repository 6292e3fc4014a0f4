//! The rules of accounts.

use super::account::{
    Account, Balances, CLOSED, CREDITS_MUST_NOT_EXCEED_DEBITS, DEBITS_MUST_NOT_EXCEED_CREDITS,
    IMPORTED, NewAccount, Snapshot,
};
use super::known::Known;
use super::undo::Was;
use super::{Model, Reason};

impl Model {
    pub(super) fn known_account(&self, again: &NewAccount) -> Known<Snapshot> {
        let Some(account) = self.accounts.get(&again.key()) else { return Known::No };
        match difference(&account.asked, again) {
            Some(reason) => Known::Different(reason),
            None => Known::Equal(account.snapshot()),
        }
    }

    pub(super) fn create_account(&mut self, now: i64, a: &NewAccount) -> Result<Snapshot, Reason> {
        if a.has(DEBITS_MUST_NOT_EXCEED_CREDITS) && a.has(CREDITS_MUST_NOT_EXCEED_DEBITS) {
            return Err("flags_are_mutually_exclusive");
        }
        if a.ledger == 0 {
            return Err("ledger_must_not_be_zero");
        }
        if a.code == 0 {
            return Err("code_must_not_be_zero");
        }
        let created_at = a.timestamp.unwrap_or(now);
        if a.has(IMPORTED) {
            let last = self.imported_accounts.get(&a.ledger);
            if last.is_some_and(|last| created_at <= *last) {
                return Err("imported_event_timestamp_must_not_regress");
            }
            let last = last.copied();
            self.remember(|_| Was::ImportedAccounts(a.ledger, last));
            self.imported_accounts.insert(a.ledger, created_at);
        }
        let account = Account {
            asked: a.clone(),
            closed: a.has(CLOSED),
            balances: Balances::default(),
            version: 0,
            created_at,
            changed_at: created_at,
            history: Vec::new(),
        };
        let snapshot = account.snapshot();
        self.remember(|_| Was::Account(a.key(), None));
        self.accounts.insert(a.key(), account);
        Ok(snapshot)
    }
}

/// The first field in which an account differs from the one that has its id. Whether it is closed
/// changes, and is not compared.
fn difference(was: &NewAccount, again: &NewAccount) -> Option<Reason> {
    if was.flags & !CLOSED != again.flags & !CLOSED {
        Some("exists_with_different_flags")
    } else if was.reference != again.reference {
        Some("exists_with_different_reference")
    } else if was.metadata != again.metadata {
        Some("exists_with_different_metadata")
    } else if was.overdraft_limit != again.overdraft_limit {
        Some("exists_with_different_overdraft_limit")
    } else if was.code != again.code {
        Some("exists_with_different_code")
    } else {
        None
    }
}
