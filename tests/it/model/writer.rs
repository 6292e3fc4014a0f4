//! What a plan refers to is found here: holds that are open, what was sent before, versions and times.

use super::plan::{Base, Change, Item, Part, Request};
use giro_checker::model::transfer::*;
use giro_checker::model::{Account, Applied, Hold, Key, Model, NewAccount, State, Transfer};
use proptest::sample::Index;

/// A transfer's key, debit and credit account, code and amount.
type Candidate = (Key, u128, u128, u32, u128);

/// What was written so far, and a model that has seen it.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) model: Model,
    pub(super) now: i64,
    pub(super) accounts: Vec<Vec<NewAccount>>,
    transfers: Vec<Vec<Transfer>>,
    next_id: u128,
}

impl Writer {
    pub(super) fn new(start: i64) -> Self {
        Self { now: start, next_id: 1, ..Self::default() }
    }

    pub(super) fn transfers(&mut self, request: &Request) -> Vec<Transfer> {
        let mut transfers = Vec::new();
        match request {
            Request::Fresh { imports, open, items } => {
                for item in items {
                    let transfer = self.transfer(item, *imports, &transfers);
                    transfers.push(transfer);
                }
                if let (false, Some(last)) = (open, transfers.last_mut()) {
                    last.flags &= !LINKED;
                }
            }
            Request::Cancel { which, ahead } => {
                let sent: Vec<Key> = self.transfers.iter().flatten().map(Transfer::key).collect();
                let key = match (ahead, pick(which, &sent)) {
                    (None, Some(sent)) => *sent,
                    (ahead, _) => (1, self.next_id + ahead.unwrap_or(1)),
                };
                let cancel = vec![Transfer::cancel(key)];
                self.model.apply_request(self.now, &cancel);
                return cancel;
            }
            Request::Again { which, shorter, altered } => {
                if let Some(before) = pick(which, &self.transfers) {
                    transfers = before[..before.len().saturating_sub(*shorter).max(1)].to_vec();
                    if let Some((which, change)) = altered {
                        let index = which.index(transfers.len());
                        self.alter(&mut transfers[index], change);
                    }
                }
            }
        }
        transfers.iter_mut().for_each(valid);
        self.model.apply_request(self.now, &transfers);
        if !transfers.is_empty() {
            self.transfers.push(transfers.clone());
        }
        transfers
    }

    fn transfer(&mut self, item: &Item, imports: bool, before: &[Transfer]) -> Transfer {
        let mut t = match &item.base {
            Base::Repeat(which, change) => {
                let sent: Vec<_> = self.transfers.iter().flatten().chain(before).collect();
                let mut t =
                    pick(which, &sent).map_or_else(Transfer::default, |sent| (*sent).clone());
                change.iter().for_each(|change| self.alter(&mut t, change));
                t
            }
            base => {
                let mut t = self.base(base, before);
                t.flags |= if item.linked { LINKED } else { 0 };
                if imports {
                    t.flags |= IMPORTED;
                    let last = before.iter().filter_map(|t| t.timestamp).max().unwrap_or(0);
                    t.timestamp = Some(last.max(self.import_floor(&t)) + 1);
                    t.timeout = 0;
                }
                t
            }
        };
        item.changes.iter().for_each(|change| self.alter(&mut t, change));
        t
    }

    fn base(&mut self, base: &Base, before: &[Transfer]) -> Transfer {
        self.next_id += 1;
        let new = Transfer { id: self.next_id, ledger: 1, code: 1, ..Transfer::default() };
        match *base {
            Base::Direct { ledger, debit, distance, amount, flags, timeout, expects } => {
                let credit = (debit - 1 + distance) % super::plan::ACCOUNTS + 1;
                let version = |id| self.model.accounts.get(&(ledger, id)).map(|a| a.version);
                let expect = if expects { (version(debit), version(credit)) } else { (None, None) };
                let (expect_debit, expect_credit) = expect;
                let amount = Some(amount);
                let new = Transfer { ledger, debit, credit, amount, flags, timeout, ..new };
                Transfer { expect_debit, expect_credit, ..new }
            }
            Base::Resolve { which, flag, amount, says_all, scope_chain } => {
                let candidates = self.candidates(before, scope_chain);
                let unknown = ((1, 1), 1, 2, 1, 1);
                let (key, debit, credit, code, held) =
                    *pick(&which, &candidates).unwrap_or(&unknown);
                let amount = match amount {
                    Part::Absent => None,
                    Part::Whole => Some(held),
                    Part::Less(less) => Some(held.saturating_sub(less)),
                    Part::More => Some(held.saturating_add(1)),
                    Part::Max => Some(u128::MAX),
                };
                let (ledger, id) = key;
                let pending_id = Some(id);
                let new = Transfer { ledger, amount, pending_id, flags: flag, scope_chain, ..new };
                match says_all {
                    true => Transfer { debit, credit, code, ..new },
                    false => Transfer { code: 0, ..new },
                }
            }
            Base::Repeat(..) => new,
        }
    }

    /// What may be posted or voided: mostly holds that are open, or chains of them.
    fn candidates(&self, before: &[Transfer], chains: bool) -> Vec<Candidate> {
        let transfer = |t: &Transfer| (t.key(), t.debit, t.credit, t.code, t.amount.unwrap_or(0));
        let hold = |hold: &Hold| {
            let Applied { debit, credit, code, amount, .. } = hold.applied;
            (hold.key, debit, credit, code, amount)
        };
        let all = self.model.holds();
        let open = || all.iter().filter(|hold| hold.state == State::Open);
        let mut candidates: Vec<_> = open().chain(&all).map(hold).collect();
        if chains {
            let first = || open().filter(|hold| hold.begins_chain).map(hold);
            (0..4).for_each(|_| candidates.extend(first()));
        }
        candidates.extend(before.iter().filter(|t| t.has(PENDING)).map(transfer));
        candidates.extend(self.transfers.last().and_then(|request| request.first()).map(transfer));
        candidates
    }

    fn alter(&self, t: &mut Transfer, change: &Change) {
        let account = |id| self.model.accounts.get(&(t.ledger, id));
        let version = |id, distance: i64| {
            Some((account(id).map_or(0, |a: &Account| a.version) + distance).max(0))
        };
        match *change {
            Change::Id(id) => t.id = id,
            Change::Flag(flag) => t.flags ^= flag,
            Change::Ledger(ledger) => t.ledger = ledger,
            Change::Debit(debit) => t.debit = debit,
            Change::Credit(credit) => t.credit = credit,
            Change::Amount(amount) => t.amount = Some(amount),
            Change::Code(code) => t.code = code,
            Change::PendingId(pending_id) => t.pending_id = pending_id,
            Change::OwnPendingId => t.pending_id = Some(t.id),
            Change::Timeout(timeout) => t.timeout = timeout,
            Change::Reference => t.reference = Some("r".into()),
            Change::Metadata => t.metadata = Some(r#"{"k":1}"#.into()),
            Change::ExpectDebit(distance) => t.expect_debit = version(t.debit, distance),
            Change::ExpectCredit(distance) => t.expect_credit = version(t.credit, distance),
            // Elsewhere it only hides what comes after: once is enough.
            Change::Timestamp(Some(-2..=0)) if !t.has(IMPORTED) => {}
            Change::Timestamp(distance) => {
                t.timestamp = distance.map(|distance| self.import_floor(t) + 1 + distance);
            }
            Change::TimestampFromNow(distance) => t.timestamp = Some(self.now + distance),
        }
    }

    /// What an import must be later than.
    fn import_floor(&self, t: &Transfer) -> i64 {
        let changed = |id| self.model.accounts.get(&(t.ledger, id)).map(|a| a.changed_at);
        let times = [changed(t.debit), changed(t.credit), self.model.last_import(t.ledger)];
        times.into_iter().flatten().max().unwrap_or(self.now - 1_000_000)
    }
}

pub(super) fn pick<'a, T>(which: &Index, of: &'a [T]) -> Option<&'a T> {
    (!of.is_empty()).then(|| which.get(of))
}

/// Takes away what JSON does not let through.
fn valid(t: &mut Transfer) {
    if t.resolves() {
        t.pending_id.get_or_insert(0);
    } else {
        t.amount.get_or_insert(1);
        t.scope_chain = false;
    }
    if t.scope_chain {
        t.amount = None;
    }
    if t.has(IMPORTED) {
        t.timestamp.get_or_insert(1);
    }
}
