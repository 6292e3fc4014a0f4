//! The transfers of an account as a list, from the last one back.

use super::check::Check;
use super::entry::{Account, Link, Movement};
use super::report::{Finding, Findings};
use crate::Id;

/// Goes along an account.
#[derive(Default)]
pub(super) struct List {
    last: Option<Id>,
}

impl List {
    pub(super) fn take(
        &mut self,
        movement: &Movement,
        here: impl Fn(&str) -> Finding,
        findings: &mut Findings,
    ) {
        let Some(Link { previous }) = movement.link else { return };
        findings.looked_at(Check::ListsAreWhole, 1);
        let last = self.last.replace(movement.id);
        if previous != last {
            let what = "it names another transfer as the one before it on the account";
            findings.add(Check::ListsAreWhole, || {
                here(what).expected(name(last)).found(name(previous))
            });
        }
    }

    pub(super) fn end(
        self,
        row: &Account,
        here: impl Fn(&str) -> Finding,
        findings: &mut Findings,
    ) {
        if row.last_transfer != self.last {
            let what = "last_transfer is not the account's last transfer";
            findings.add(Check::ListsAreWhole, || {
                here(what).expected(name(self.last)).found(name(row.last_transfer))
            });
        }
    }
}

fn name(transfer: Option<Id>) -> String {
    transfer.map_or_else(|| "none".into(), |id| id.to_string())
}
