//! The fold of one account's movements after another's: what the account's row and its history must
//! be. Memory does not grow with the rows.

use super::check::Check;
use super::entry::{Account, Entry, History, Movement, Refused};
use super::list::List;
use super::report::{Finding, Findings};
use super::totals::{Change, Limits, Totals};
use super::values::Moment;
use crate::Id;

/// Refusals of an account that are remembered, to say which of them was applied.
const REFUSED_MAX: usize = 64;

/// Goes through the accounts.
#[derive(Default)]
pub(super) struct AccountFold {
    key: Option<(i32, Id)>,
    row: Option<Account>,
    limits: Limits,
    totals: Totals,
    /// A movement could not be added: the balances cannot be told any more.
    lost: bool,
    movements: i64,
    /// Closing holds that are open.
    closings: i64,
    last: Option<(i64, Id, Moment)>,
    list: List,
    /// The last movement has no row of history yet.
    owes_history: bool,
    refused: Vec<(i64, Refused)>,
}

impl AccountFold {
    /// The next row of the stream.
    pub(super) fn take(&mut self, key: (i32, Id), seq: i64, entry: Entry, findings: &mut Findings) {
        if self.key != Some(key) {
            self.end(findings);
            self.key = Some(key);
        }
        let here = |what: &str| Finding::new(what).ledger(key.0).account(key.1);
        match entry {
            Entry::Account(_) if self.row.is_some() => {
                findings.add(Check::AccountsExist, || here("the account is there twice"));
            }
            Entry::Account(row) => self.open(row, here, findings),
            Entry::Refused(refused) => {
                if self.refused.len() < REFUSED_MAX {
                    self.refused.push((seq, refused));
                }
            }
            Entry::Movement(movement) => {
                let here = |what: &str| here(what).transfer(movement.id).seq(seq);
                self.movement(seq, &movement, here, findings);
            }
            Entry::History(history) => {
                self.history(seq, &history, |what| here(what).seq(seq), findings);
            }
        }
    }

    fn open(&mut self, row: Account, here: impl Fn(&str) -> Finding, findings: &mut Findings) {
        findings.looked_at(Check::AccountsExist, 1);
        findings.looked_at(Check::BalancesAreFolds, 1);
        findings.looked_at(Check::VersionsAreGapless, 1);
        if row.overdraft.amount().is_none() || (row.limits_debits && row.limits_credits) {
            let what =
                "the account's overdraft_limit is no amount, or its limits exclude each other";
            findings.add(Check::DecisionsAreValid, || here(what).found(row.overdraft));
        }
        self.limits = Limits {
            debits: row.limits_debits,
            credits: row.limits_credits,
            overdraft: row.overdraft.amount().unwrap_or(0),
        };
        self.row = Some(row);
    }

    fn movement(
        &mut self,
        seq: i64,
        movement: &Movement,
        here: impl Fn(&str) -> Finding,
        findings: &mut Findings,
    ) {
        findings.looked_at(Check::OrderIsKept, 1);
        findings.looked_at(Check::LimitsHold, 1);
        findings.looked_at(Check::ClosedAccountsRest, 1);
        self.settle_history(findings);
        if self.row.is_none() && self.movements == 0 {
            findings.add(Check::AccountsExist, || here("the account of a transfer is not there"));
        }
        let earlier = self.last.map(|(seq, _, at)| (Some(seq), at));
        let created = self.row.as_ref().map(|row| (None, row.created_at));
        if let Some((last_seq, last_at)) = earlier.or(created) {
            if last_seq == Some(seq) {
                findings.add(Check::OrderIsKept, || here("two movements have one seq"));
            }
            if movement.at < last_at {
                let what =
                    "created_at is earlier than that of the movement before it, or the account's";
                findings.add(Check::OrderIsKept, || {
                    here(what).expected(format!("from {last_at} on")).found(movement.at)
                });
            }
        }
        self.list.take(movement, &here, findings);
        if self.closings > 0 && !movement.only_releases {
            findings
                .add(Check::ClosedAccountsRest, || here("applied while the account was closed"));
        }
        self.closings += i64::from(movement.closes) - i64::from(movement.reopens);
        self.movements += 1;
        self.last = Some((seq, movement.id, movement.at));
        self.owes_history = self.row.as_ref().is_some_and(|row| row.keeps_history);
        if self.lost {
            return;
        }
        let change = movement.change.ok_or("the amount is none");
        match change.and_then(|change| self.totals.after(movement.side, change)) {
            Ok(totals) => self.totals = totals,
            Err(why) => {
                self.lost = true;
                findings.add(Check::BalancesAreFolds, || here(why));
                return;
            }
        }
        if let Some((limit, used, bound)) = self.totals.breach(&self.limits) {
            findings.add(Check::LimitsHold, || {
                here(limit).expected(format!("at most {bound}")).found(used)
            });
        }
    }

    fn history(
        &mut self,
        seq: i64,
        history: &History,
        here: impl Fn(&str) -> Finding,
        findings: &mut Findings,
    ) {
        findings.looked_at(Check::HistoryAgrees, 1);
        let Some((_, id, at)) = self.last.filter(|last| last.0 == seq && self.owes_history) else {
            return match self.refused.iter().find(|(refused, _)| *refused == seq) {
                Some((_, refused)) => findings.add(Check::RejectionsAreNotApplied, || {
                    here("the history has balances after a refused transfer").transfer(refused.id)
                }),
                None => findings.add(Check::HistoryAgrees, || here("a row of no movement")),
            };
        };
        self.owes_history = false;
        let here = |what: &str| here(what).transfer(id);
        if history.version != self.movements {
            findings.add(Check::VersionsAreGapless, || {
                here("the version in the history does not count the movements")
                    .expected(self.movements)
                    .found(history.version)
            });
        }
        if history.at != at {
            findings.add(Check::HistoryAgrees, || {
                here("created_at differs from the movement's").expected(at).found(history.at)
            });
        }
        if self.lost {
            return;
        }
        for (name, expected, found) in self.totals.differences(&history.balances) {
            findings.add(Check::HistoryAgrees, || {
                here(&format!("{name} is not the fold up to here")).expected(expected).found(found)
            });
        }
    }

    fn settle_history(&mut self, findings: &mut Findings) {
        if let (true, Some((ledger, account)), Some((seq, id, _))) =
            (self.owes_history, self.key, self.last)
        {
            findings.add(Check::HistoryAgrees, || {
                Finding::new("the history lacks the balances after this movement")
                    .ledger(ledger)
                    .account(account)
                    .transfer(id)
                    .seq(seq)
            });
        }
        self.owes_history = false;
    }

    /// The last row of an account was taken: compares the fold with what is stored.
    pub(super) fn end(&mut self, findings: &mut Findings) {
        self.settle_history(findings);
        let Self { key, row, totals, lost, movements, closings, last, list, refused, .. } =
            std::mem::take(self);
        let (Some((ledger, account)), Some(row)) = (key, row) else {
            return;
        };
        let here = |what: String| Finding::new(what).ledger(ledger).account(account);
        if row.version != movements {
            findings.add(Check::VersionsAreGapless, || {
                here("version does not count the movements".into())
                    .expected(movements)
                    .found(row.version)
            });
        }
        let changed_at = last.map_or(row.created_at, |(_, _, at)| at);
        if row.changed_at != changed_at {
            findings.add(Check::OrderIsKept, || {
                here("changed_at is not the moment of the last movement".into())
                    .expected(changed_at)
                    .found(row.changed_at)
            });
        }
        list.end(&row, |what| here(what.into()), findings);
        // An account may have been created closed; then nothing has ever moved it.
        if row.closed != (closings > 0) && !(row.closed && movements == 0) {
            findings.add(Check::ClosedAccountsRest, || {
                here("closed does not say whether a closing hold is open".into())
                    .expected(closings > 0)
                    .found(row.closed)
            });
        }
        if lost {
            return;
        }
        let mut differs = false;
        for (name, expected, found) in totals.differences(&row.balances) {
            differs = true;
            findings.add(Check::BalancesAreFolds, || {
                here(format!("{name} is not the fold of the movements"))
                    .expected(expected)
                    .found(found)
            });
        }
        if differs && let Some((seq, refused)) = applied_all_the_same(&refused, totals, &row) {
            findings.add(Check::RejectionsAreNotApplied, || {
                here("a refused transfer is in the balances".into()).transfer(refused.id).seq(*seq)
            });
        }
    }
}

/// The refused transfer that explains the difference between the fold and the row.
fn applied_all_the_same<'a>(
    refused: &'a [(i64, Refused)],
    totals: Totals,
    row: &Account,
) -> Option<&'a (i64, Refused)> {
    refused.iter().find(|(_, refused)| {
        let change = refused.change.filter(|change| *change != Change::default());
        change
            .and_then(|change| totals.after(refused.side, change).ok())
            .is_some_and(|totals| totals.differences(&row.balances).next().is_none())
    })
}
