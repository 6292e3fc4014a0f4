//! The ledger that a run left, in memory: about 130 bytes a decision.

use crate::CheckError;
use crate::history::{Balances, Item, LEDGER};
use crate::model::transfer::{PENDING, POST_PENDING, VOID_PENDING};
use crate::session::Session;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Decisions, expirations and accounts of the ledger of a run.
#[derive(Default)]
pub(crate) struct Stored {
    /// By seq.
    pub(crate) decisions: Vec<Decision>,
    /// Places in `decisions`, by id.
    by_id: Vec<u32>,
    /// By seq.
    pub(crate) expirations: Vec<Expiration>,
    pub(crate) accounts: HashMap<u64, Account>,
    /// Rows that no run makes.
    pub(crate) foreign: Vec<String>,
}

/// An id that was decided for good.
pub(crate) struct Decision {
    pub(crate) seq: i64,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) id: u64,
    /// 0: none.
    pub(crate) debit: u64,
    /// 0: none.
    pub(crate) credit: u64,
    pub(crate) amount: Option<u64>,
    pub(crate) flags: u32,
    pub(crate) pending_id: Option<u64>,
    pub(crate) timeout: u64,
    /// Why it was refused; nothing: it was applied.
    pub(crate) reason: Option<Arc<str>>,
}

pub(crate) struct Expiration {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) id: u64,
}

pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) balances: Balances,
}

/// What a movement adds to the balances of one side of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Delta {
    pub(crate) pending: i128,
    pub(crate) posted: i128,
}

const MICROSECONDS: &str = "(extract(epoch FROM created_at) * 1000000)::bigint";

impl Stored {
    pub(crate) async fn read(session: &Session) -> Result<Self, CheckError> {
        let mut stored = Self::default();
        let mut words = BTreeSet::new();
        let query = format!(
            "SELECT seq, {MICROSECONDS}, id, debit_account, credit_account, amount, flags, pending_id,
                    timeout, reason
               FROM giro.decisions WHERE ledger = {LEDGER}"
        );
        let Self { decisions, expirations, accounts, foreign, .. } = &mut stored;
        let take = |row: &str| match decision(row, &mut words) {
            Some(decision) => decisions.push(decision),
            None => foreign.push(format!("a decision: {row}")),
        };
        session.copy_out("read the decisions", &query, take).await?;
        let query =
            format!("SELECT seq, {MICROSECONDS}, id FROM giro.expirations WHERE ledger = {LEDGER}");
        let take = |row: &str| match expiration(row) {
            Some(expiration) => expirations.push(expiration),
            None => foreign.push(format!("an expiration: {row}")),
        };
        session.copy_out("read the expirations", &query, take).await?;
        let query = format!(
            "SELECT id, version, debits_pending, debits_posted,
                    credits_pending, credits_posted
               FROM giro.account_state WHERE ledger = {LEDGER}"
        );
        let take = |row: &str| match account(row) {
            Some(account) => drop(accounts.insert(account.id, account)),
            None => foreign.push(format!("an account: {row}")),
        };
        session.copy_out("read the accounts", &query, take).await?;
        Ok(stored)
    }

    /// Sorts what was read.
    pub(crate) fn index(&mut self) {
        self.decisions.sort_unstable_by_key(|decision| (decision.seq, decision.id));
        self.expirations.sort_unstable_by_key(|expiration| expiration.seq);
        self.by_id = (0..self.decisions.len() as u32).collect();
        let decisions = &self.decisions;
        self.by_id.sort_unstable_by_key(|place| decisions[*place as usize].id);
    }

    /// The place of what was decided of an id.
    pub(crate) fn place(&self, id: u64) -> Option<usize> {
        let of = |place: &u32| self.decisions[*place as usize].id;
        let found = self.by_id.binary_search_by_key(&id, of).ok()?;
        Some(self.by_id[found] as usize)
    }

    /// What was decided of an id.
    pub(crate) fn decision(&self, id: u64) -> Option<&Decision> {
        Some(&self.decisions[self.place(id)?])
    }

    /// A hold that was made.
    pub(crate) fn hold(&self, id: u64) -> Option<&Decision> {
        self.decision(id).filter(|hold| hold.reason.is_none() && hold.flags & PENDING != 0)
    }

    /// Whether an item is what was decided of its id: what it leaves out is its hold's.
    pub(crate) fn fits(&self, decision: &Decision, item: &Item) -> bool {
        let resolves = item.flags & (POST_PENDING | VOID_PENDING) != 0;
        let inherits = |sent: u64, stored: u64| sent == stored || resolves && sent == 0;
        let all = || item.pending_id.and_then(|id| self.hold(id)).and_then(|hold| hold.amount);
        let amount = match item.amount {
            Some(_) => decision.amount == item.amount,
            None => decision.reason.is_some() || decision.amount == all(),
        };
        (item.id, item.flags, item.pending_id, item.timeout)
            == (decision.id, decision.flags, decision.pending_id, decision.timeout)
            && inherits(item.debit, decision.debit)
            && inherits(item.credit, decision.credit)
            && amount
    }

    /// What an applied transfer adds to either side.
    pub(crate) fn delta(&self, decision: &Decision) -> Delta {
        let amount = i128::from(decision.amount.unwrap_or(0));
        if decision.flags & PENDING != 0 {
            return Delta { pending: amount, posted: 0 };
        }
        if decision.flags & (POST_PENDING | VOID_PENDING) == 0 {
            return Delta { pending: 0, posted: amount };
        }
        let hold = decision.pending_id.and_then(|id| self.hold(id));
        let held = hold.and_then(|hold| hold.amount).map_or(0, i128::from);
        let posted = if decision.flags & POST_PENDING != 0 { amount } else { 0 };
        Delta { pending: -held, posted }
    }
}

/// The columns of a row; nothing where one is not what it should be.
struct Columns<'a>(std::str::Split<'a, char>);

impl<'a> Columns<'a> {
    fn text(&mut self) -> Option<Option<&'a str>> {
        self.0.next().map(|text| (text != "\\N").then_some(text))
    }

    fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.text()??.parse().ok()
    }

    fn number_or_none<T: std::str::FromStr>(&mut self) -> Option<Option<T>> {
        self.text()?.map_or(Some(None), |text| text.parse().ok().map(Some))
    }

    fn id(&mut self) -> Option<u64> {
        uuid(self.text()??)
    }

    fn id_or_none(&mut self) -> Option<Option<u64>> {
        self.text()?.map_or(Some(None), |text| uuid(text).map(Some))
    }
}

/// A UUID whose first half is zero.
fn uuid(text: &str) -> Option<u64> {
    let low = text.strip_prefix("00000000-0000-0000-")?;
    let (high, low) = low.split_once('-')?;
    Some(u64::from_str_radix(high, 16).ok()? << 48 | u64::from_str_radix(low, 16).ok()?)
}

fn decision(row: &str, words: &mut BTreeSet<Arc<str>>) -> Option<Decision> {
    let mut columns = Columns(row.split('\t'));
    Some(Decision {
        seq: columns.number()?,
        at: columns.number()?,
        id: columns.id()?,
        debit: columns.id_or_none()?.unwrap_or(0),
        credit: columns.id_or_none()?.unwrap_or(0),
        amount: columns.number_or_none()?,
        flags: columns.number()?,
        pending_id: columns.id_or_none()?,
        timeout: columns.number_or_none()?.unwrap_or(0),
        reason: columns.text()?.map(|text| match words.get(text) {
            Some(word) => word.clone(),
            None => {
                let word = Arc::<str>::from(text);
                words.insert(word.clone());
                word
            }
        }),
    })
}

fn expiration(row: &str) -> Option<Expiration> {
    let mut columns = Columns(row.split('\t'));
    Some(Expiration { seq: columns.number()?, at: columns.number()?, id: columns.id()? })
}

fn account(row: &str) -> Option<Account> {
    let mut columns = Columns(row.split('\t'));
    Some(Account {
        id: columns.id()?,
        balances: Balances {
            version: columns.number()?,
            debits_pending: columns.number()?,
            debits_posted: columns.number()?,
            credits_pending: columns.number()?,
            credits_posted: columns.number()?,
        },
    })
}
