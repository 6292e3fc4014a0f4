//! Who has accounts, and what limits them.

use super::zipf::Zipf;
use fastrand::Rng;
use giro_checker::history::{Item, Opened};
use giro_checker::model::account::{
    CREDITS_MUST_NOT_EXCEED_DEBITS, DEBITS_MUST_NOT_EXCEED_CREDITS, FLAG_NAMES, HISTORY,
};
use giro_checker::model::names;
use serde_json::{Value, json};

/// Has no limit, and funds everybody.
const BANK: u64 = 1;
/// What an account with a limit begins with.
const FUNDS: u64 = 100;
/// Steep enough that some 16 of 500 accounts have two thirds of the traffic.
const EXPONENT: f64 = 1.2;
/// Of the transfers that could go either way.
const AGAINST_LIMITS: f64 = 0.4;

/// The accounts of a run: hot ones and cold ones, of which each has its own share of the traffic.
pub(super) struct Accounts {
    count: u64,
    shares: Zipf,
}

/// What limits an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    None,
    Debits,
    Credits,
}

impl Accounts {
    pub(super) fn new(hot: usize, cold: usize) -> Self {
        Self { count: (hot + cold) as u64, shares: Zipf::new(hot + cold, EXPONENT) }
    }

    /// All of them, but for the bank.
    fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        BANK + 1..BANK + 1 + self.count
    }

    /// One, by its share.
    pub(super) fn draw(&self, random: &mut Rng) -> u64 {
        BANK + 1 + self.shares.draw(random) as u64
    }

    /// Two different ones, by their shares: one to be debited, one to be credited. Rather against their
    /// limits than away from them, or balances would wander off to where nothing is refused any more.
    pub(super) fn pair(&self, random: &mut Rng) -> (u64, u64) {
        let debit = self.draw(random);
        let credit = loop {
            let credit = self.draw(random);
            if credit != debit {
                break credit;
            }
        };
        let is_harder = strain(credit, debit) > strain(debit, credit);
        match is_harder && random.f64() < AGAINST_LIMITS {
            true => (credit, debit),
            false => (debit, credit),
        }
    }

    /// All of them, as they are to be opened.
    pub(super) fn to_open(&self) -> Vec<Opened> {
        std::iter::once(BANK).chain(self.ids()).map(account).collect()
    }

    /// The first transfer of each account with a limit, of amounts without ids.
    pub(super) fn to_fund(&self) -> Vec<Item> {
        self.ids().filter_map(|account| funding(account, FUNDS)).collect()
    }

    /// More funds for one of the accounts, by their shares.
    pub(super) fn more_funds(&self, random: &mut Rng) -> Item {
        loop {
            if let Some(item) = funding(self.draw(random), FUNDS / 2) {
                return item;
            }
        }
    }
}

fn limit(account: u64) -> Limit {
    match account % 8 {
        _ if account == BANK => Limit::None,
        4 => Limit::None,
        3 | 7 => Limit::Credits,
        _ => Limit::Debits,
    }
}

/// How much a transfer brings accounts to their limits, and not away from them.
fn strain(debit: u64, credit: u64) -> i32 {
    let of = |limit_of_debit: Limit, limit_of_credit: Limit| {
        i32::from(limit(debit) == limit_of_debit) + i32::from(limit(credit) == limit_of_credit)
    };
    of(Limit::Debits, Limit::Credits) - of(Limit::Credits, Limit::Debits)
}

fn account(id: u64) -> Opened {
    let limit = match limit(id) {
        Limit::None => 0,
        Limit::Debits => DEBITS_MUST_NOT_EXCEED_CREDITS,
        Limit::Credits => CREDITS_MUST_NOT_EXCEED_DEBITS,
    };
    let overdraft_limit = if limit == 0 { 0 } else { [0, 0, 100][(id / 4 % 3) as usize] };
    Opened { id, flags: HISTORY | limit, overdraft_limit }
}

/// As `POST /accounts` takes it.
pub(super) fn to_create(account: &Opened) -> Value {
    let Opened { id, flags, overdraft_limit } = account;
    let mut json = json!({"id": id, "flags": names(*flags, FLAG_NAMES)});
    if *overdraft_limit > 0 {
        json["overdraft_limit"] = json!(overdraft_limit);
    }
    json
}

/// What lets an account with a limit pay, or be paid.
fn funding(account: u64, amount: u64) -> Option<Item> {
    let (debit, credit) = match limit(account) {
        Limit::None => return None,
        Limit::Debits => (BANK, account),
        Limit::Credits => (account, BANK),
    };
    Some(Item { debit, credit, amount: Some(amount), ..Item::default() })
}
