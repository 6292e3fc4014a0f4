//! What a chain has changed, kept as it was, until the chain stands.

use super::account::Account;
use super::known::Decision;
use super::{Key, Model};

/// One thing, as it was before it changed. Nothing: it was not there.
#[derive(Debug, Clone)]
pub(super) enum Was {
    Account(Key, Option<Box<Account>>),
    Decision(Key, Option<Decision>),
    Further((Key, Key)),
    ImportedTransfers(u32, Option<i64>),
    ImportedAccounts(u32, Option<i64>),
}

impl Model {
    /// From now on everything is remembered as it was before it changes.
    pub(super) fn begin_chain(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// What was changed stays.
    pub(super) fn keep_chain(&mut self) {
        self.undo = None;
    }

    /// What was changed is as it was, the last first.
    pub(super) fn undo_chain(&mut self) {
        for was in self.undo.take().into_iter().flatten().rev() {
            match was {
                Was::Account(key, Some(account)) => drop(self.accounts.insert(key, *account)),
                Was::Account(key, None) => drop(self.accounts.remove(&key)),
                Was::Decision(key, Some(decision)) => drop(self.decided.insert(key, decision)),
                Was::Decision(key, None) => drop(self.decided.remove(&key)),
                Was::Further(pair) => drop(self.further.remove(&pair)),
                Was::ImportedTransfers(ledger, Some(at)) => {
                    self.imported_transfers.insert(ledger, at);
                }
                Was::ImportedTransfers(ledger, None) => {
                    self.imported_transfers.remove(&ledger);
                }
                Was::ImportedAccounts(ledger, Some(at)) => {
                    self.imported_accounts.insert(ledger, at);
                }
                Was::ImportedAccounts(ledger, None) => {
                    self.imported_accounts.remove(&ledger);
                }
            }
        }
    }

    /// To be called before each change.
    pub(super) fn remember(&mut self, was: impl FnOnce(&Self) -> Was) {
        if self.undo.is_some() {
            let was = was(self);
            self.undo.get_or_insert_default().push(was);
        }
    }
}
