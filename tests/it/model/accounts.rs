//! What the creation of accounts in a random program is made of.

use super::writer::{Writer, pick};
use giro_checker::model::NewAccount;
use giro_checker::model::account::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const MAX: u128 = u128::MAX;

#[derive(Debug, Clone)]
pub(super) enum Request {
    /// Of new items.
    Fresh { imports: bool, items: Vec<(Item, Vec<Change>)> },
    /// A request that was sent before, perhaps altered in one item.
    Again { which: Index, altered: Option<(Index, Change)> },
}

#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A new one; its id may be taken.
    New(NewAccount),
    /// One that was sent before.
    Repeat(Index),
}

/// A field, and what becomes of it.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Id(u128),
    /// Turns a bit over.
    Flag(u32),
    Ledger(u32),
    Overdraft(u128),
    Code(u32),
    Reference,
    Metadata,
    /// So far from the moment at which an import must be later, or no time.
    Timestamp(Option<i64>),
    /// So far from now.
    TimestampFromNow(i64),
}

/// The accounts that are there from the start, by ledger and id.
pub(super) fn from_the_start(ledgers: u32, ids: u128) -> impl Strategy<Value = Vec<NewAccount>> {
    vec(account(), ledgers as usize * ids as usize).prop_map(move |mut accounts| {
        for (n, account) in accounts.iter_mut().enumerate() {
            account.ledger = 1 + n as u32 / ids as u32;
            account.id = 1 + n as u128 % ids;
        }
        accounts
    })
}

pub(super) fn request() -> impl Strategy<Value = Request> {
    let item = prop_oneof![
        3 => account().prop_map(Item::New),
        2 => any::<Index>().prop_map(Item::Repeat),
    ];
    let changes = prop_oneof![2 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    let item = (item, changes.prop_flat_map(|n| vec(change(), n)));
    let fresh = (prop::bool::weighted(0.5), vec(item, 1..6))
        .prop_map(|(imports, items)| Request::Fresh { imports, items });
    let again = (any::<Index>(), proptest::option::of((any::<Index>(), change())))
        .prop_map(|(which, altered)| Request::Again { which, altered });
    prop_oneof![3 => fresh, 1 => again]
}

fn account() -> impl Strategy<Value = NewAccount> {
    let limits = select(vec![0, 0, DEBITS_MUST_NOT_EXCEED_CREDITS, CREDITS_MUST_NOT_EXCEED_DEBITS]);
    let rarely = |flag| prop_oneof![40 => Just(0), 1 => Just(flag)];
    let linked = prop_oneof![2 => Just(0), 1 => Just(LINKED)];
    let history = select(vec![0, HISTORY]);
    let flags = (limits, history, linked, rarely(CLOSED))
        .prop_map(|(limits, history, linked, closed)| limits | history | linked | closed);
    let overdraft = prop_oneof![3 => 0..40_u128, 1 => Just(MAX)];
    // From 6 on they are not there from the start.
    (flags, overdraft, 1..20_u128, 1..3_u32).prop_map(|(flags, overdraft_limit, id, ledger)| {
        NewAccount { id, ledger, code: 1, flags, overdraft_limit, ..NewAccount::default() }
    })
}

fn change() -> impl Strategy<Value = Change> {
    let id = prop_oneof![1 => Just(0), 1 => Just(MAX), 2 => 1..9_u128];
    let timestamp = prop_oneof![1 => Just(None), 5 => (-1..=0_i64).prop_map(Some)];
    prop_oneof![
        id.prop_map(Change::Id),
        (0..6_u32).prop_map(|bit| Change::Flag(1 << bit)),
        Just(Change::Flag(DEBITS_MUST_NOT_EXCEED_CREDITS)),
        (0..3_u32).prop_map(Change::Ledger),
        (0..40_u128).prop_map(Change::Overdraft),
        (0..3_u32).prop_map(Change::Code),
        Just(Change::Reference),
        Just(Change::Metadata),
        timestamp.prop_map(Change::Timestamp),
        (-1..=1_i64).prop_map(Change::TimestampFromNow),
    ]
}

impl Writer {
    pub(super) fn accounts(&mut self, request: &Request) -> Vec<NewAccount> {
        let accounts = match request {
            Request::Fresh { imports, items } => {
                let mut accounts = Vec::new();
                for (item, changes) in items {
                    accounts.push(self.account(item, changes, *imports, &accounts));
                }
                accounts
            }
            Request::Again { which, altered } => {
                let mut accounts = pick(which, &self.accounts).cloned().unwrap_or_default();
                if let (Some((which, change)), false) = (altered, accounts.is_empty()) {
                    let index = which.index(accounts.len());
                    self.alter_account(&mut accounts[index], change);
                }
                accounts
            }
        };
        self.create(accounts)
    }

    pub(super) fn create(&mut self, mut accounts: Vec<NewAccount>) -> Vec<NewAccount> {
        for account in accounts.iter_mut().filter(|account| account.has(IMPORTED)) {
            account.timestamp.get_or_insert(1);
        }
        self.model.create_request(self.now, &accounts);
        if !accounts.is_empty() {
            self.accounts.push(accounts.clone());
        }
        accounts
    }

    fn account(
        &self,
        item: &Item,
        changes: &[Change],
        imports: bool,
        before: &[NewAccount],
    ) -> NewAccount {
        let mut account = match item {
            Item::New(account) => account.clone(),
            Item::Repeat(which) => {
                let sent: Vec<_> = self.accounts.iter().flatten().chain(before).collect();
                pick(which, &sent).map_or_else(NewAccount::default, |sent| (*sent).clone())
            }
        };
        if imports {
            account.flags |= IMPORTED;
            let last = before.iter().filter_map(|a| a.timestamp).max().unwrap_or(0);
            account.timestamp.get_or_insert(last.max(self.account_floor(account.ledger)) + 1);
        }
        changes.iter().for_each(|change| self.alter_account(&mut account, change));
        account
    }

    fn alter_account(&self, a: &mut NewAccount, change: &Change) {
        match *change {
            Change::Id(id) => a.id = id,
            Change::Flag(flag) => a.flags ^= flag,
            Change::Ledger(ledger) => a.ledger = ledger,
            Change::Overdraft(overdraft) => a.overdraft_limit = overdraft,
            Change::Code(code) => a.code = code,
            Change::Reference => a.reference = Some("r".into()),
            Change::Metadata => a.metadata = Some(r#"{"k":1}"#.into()),
            Change::Timestamp(distance) => {
                a.timestamp = distance.map(|distance| self.account_floor(a.ledger) + 1 + distance);
            }
            Change::TimestampFromNow(distance) => a.timestamp = Some(self.now + distance),
        }
    }

    /// What an imported account must be later than.
    fn account_floor(&self, ledger: u32) -> i64 {
        let accounts = self.model.accounts.values();
        let imported = accounts.filter(|a| a.asked.ledger == ledger && a.asked.has(IMPORTED));
        imported.map(|a| a.created_at).max().unwrap_or(self.now - 9_000_000)
    }
}
