//! What is asked for: request `n` of a seed is the same in every run, but for what depends on what callers
//! were told (which hold is open, what was sent before).

use super::WorkloadPlan;
use super::accounts::Accounts;
use super::memory::{Hold, Memory};
use super::request::{Kind, Manner, Request};
use fastrand::Rng;
use giro_checker::history::{Asked, Item};
use giro_checker::model::transfer::{LINKED, PENDING, POST_PENDING, VOID_PENDING};
use std::time::Duration;

/// The first id; smaller ones are for the first funds.
const FIRST: u64 = 100_000;
/// An account that there is not.
const NOBODY: u64 = 999_999_999;

const READS: f64 = 0.05;
const INVALID: f64 = 0.05;
/// Together with twins a fifth of all transfers requests have ids that were sent before.
const REPEATS: f64 = 0.18;
const TWINS: f64 = 0.03;
/// Of transfers requests; of all requests 1 %.
const RUDE: f64 = 0.011;
const MORE_FUNDS: f64 = 0.03;
const DEADLINES: [u64; 5] = [200, 500, 1000, 2000, 5000];

/// Of the longest chain.
const CHAIN_MAX: usize = 4;

/// Makes requests.
pub(super) struct Generator {
    seed: u64,
    servers: usize,
    accounts: Accounts,
    /// Transfers of the largest bulk.
    bulk_max: usize,
    number: u64,
}

impl Generator {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        let accounts = Accounts::new(plan.hot, plan.cold);
        let WorkloadPlan { seed, servers, bulk_max, .. } = *plan;
        Self { seed, servers, accounts, bulk_max, number: 0 }
    }

    /// Ids that one request has for itself.
    fn ids(&self) -> u64 {
        self.bulk_max.max(CHAIN_MAX) as u64
    }

    /// The next request, and perhaps one for the same ids that another server is to get at once.
    pub(super) fn next(&mut self, memory: &mut Memory) -> (Request, Option<Request>) {
        // An odd factor far from a power of two: neighbours get seeds that have nothing in common.
        let own = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Rng::with_seed(self.seed ^ own);
        self.number += 1;
        let (kind, asked) = self.asked(&mut random, memory);
        let manner = match &asked {
            Asked::Transfers(_) if random.f64() < RUDE => rude(&mut random),
            _ => Manner::Wait,
        };
        let deadline = Duration::from_millis(DEADLINES[random.usize(0..DEADLINES.len())]);
        let server = random.usize(0..self.servers);
        let request = Request { asked, kind, server, deadline, manner };
        if let Asked::Transfers(items) = &request.asked {
            memory.sent(items);
        }
        let twin = self.twin(&mut random, &request);
        (request, twin)
    }

    fn asked(&self, random: &mut Rng, memory: &mut Memory) -> (Kind, Asked) {
        if random.f64() < READS {
            return (Kind::Read, Asked::Account(self.accounts.draw(random)));
        }
        if random.f64() < REPEATS
            && let Some(items) = memory.earlier(random)
        {
            return self.repeat(random, items);
        }
        let (kind, mut items) = match random.f64() {
            part if part < INVALID => (Kind::Invalid, self.invalid(random, memory)),
            part if part < INVALID + MORE_FUNDS => {
                (Kind::Plain, vec![self.accounts.more_funds(random)])
            }
            part if part < 0.60 => (Kind::Plain, vec![self.plain(random)]),
            part if part < 0.74 => (Kind::Hold, vec![self.hold(random)]),
            part if part < 0.86 => (Kind::Resolve, vec![self.resolve(random, memory)]),
            part if part < 0.94 => (Kind::Chain, self.chain(random, memory)),
            _ => (Kind::Bulk, self.bulk(random, memory)),
        };
        let first = FIRST + (self.number - 1) * self.ids();
        for (item, id) in items.iter_mut().zip(first..first + self.ids()) {
            item.id = id;
        }
        // A hold of the same chain goes by its place until it has its id.
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        for item in &mut items {
            if let Some(place) = item.pending_id.filter(|id| *id < self.ids()) {
                item.pending_id = Some(ids[place as usize]);
            }
        }
        (kind, Asked::Transfers(items))
    }

    fn repeat(&self, random: &mut Rng, mut items: Vec<Item>) -> (Kind, Asked) {
        if random.bool() {
            return (Kind::Identical, Asked::Transfers(items));
        }
        let item = random.usize(0..items.len());
        self.alter(random, &mut items[item]);
        (Kind::Altered, Asked::Transfers(items))
    }

    /// Asks for something else under the same id.
    fn alter(&self, random: &mut Rng, item: &mut Item) {
        let is_direct = item.debit != 0 && item.credit != 0;
        match random.u8(0..3) {
            0 if is_direct => (item.debit, item.credit) = (item.credit, item.debit),
            1 if is_direct => {
                let other = loop {
                    let other = self.accounts.draw(random);
                    if other != item.credit && other != item.debit {
                        break other;
                    }
                };
                item.credit = other;
            }
            _ => item.amount = Some(item.amount.unwrap_or(0) + 1),
        }
    }

    /// The same at once to another server, half of the time with another content.
    fn twin(&self, random: &mut Rng, request: &Request) -> Option<Request> {
        let is_fresh = !request.items().is_empty() && !request.kind.is_repeat();
        if random.f64() >= TWINS || !is_fresh {
            return None;
        }
        let (kind, asked) = self.repeat(random, request.items().to_vec());
        let server = (request.server + 1) % self.servers;
        Some(Request { asked, kind, server, manner: Manner::Wait, deadline: request.deadline })
    }

    fn plain(&self, random: &mut Rng) -> Item {
        let (debit, credit) = self.accounts.pair(random);
        Item { debit, credit, amount: Some(amount(random)), ..Item::default() }
    }

    fn hold(&self, random: &mut Rng) -> Item {
        let timeout = if random.f64() < 0.5 { random.u64(1..=2) } else { 0 };
        Item { flags: PENDING, timeout, ..self.plain(random) }
    }

    /// A post or a void of a hold that is known, or a plain transfer where there is none.
    fn resolve(&self, random: &mut Rng, memory: &mut Memory) -> Item {
        match memory.open_hold(random) {
            Some(hold) => resolving(random, hold),
            None => self.plain(random),
        }
    }

    fn any(&self, random: &mut Rng, memory: &mut Memory) -> Item {
        match random.u8(0..10) {
            0..=5 => self.plain(random),
            6 | 7 => self.hold(random),
            _ => self.resolve(random, memory),
        }
    }

    fn chain(&self, random: &mut Rng, memory: &mut Memory) -> Vec<Item> {
        let count = random.usize(2..=CHAIN_MAX);
        let mut items: Vec<_> = (0..count).map(|_| self.any(random, memory)).collect();
        if random.u8(0..4) == 0 {
            // The second posts what the first reserves.
            items[0] = self.hold(random);
            let amount = items[0].amount.unwrap_or(1);
            items[1] = resolving(random, Hold { id: 0, amount });
        }
        for item in &mut items[..count - 1] {
            item.flags |= LINKED;
        }
        items
    }

    fn bulk(&self, random: &mut Rng, memory: &mut Memory) -> Vec<Item> {
        (0..random.usize(2..=self.bulk_max)).map(|_| self.any(random, memory)).collect()
    }

    /// Refused by a rule, for good or for now, or malformed.
    fn invalid(&self, random: &mut Rng, memory: &mut Memory) -> Vec<Item> {
        let plain = self.plain(random);
        let debit = plain.debit;
        let item = match random.u8(0..12) {
            0 => Item { debit: NOBODY, ..plain },
            1 => Item { credit: NOBODY, ..plain },
            2 => Item { credit: debit, ..plain },
            3 => Item { timeout: 1, ..plain },
            4 => Item { pending_id: Some(NOBODY), ..plain },
            5 => Item { flags: LINKED, ..plain },
            6 => Item { pending_id: Some(NOBODY), flags: POST_PENDING, ..Item::default() },
            7 => Item {
                pending_id: Some(NOBODY),
                flags: POST_PENDING | VOID_PENDING,
                ..Item::default()
            },
            8 => match memory.open_hold(random) {
                Some(hold) => Item { amount: Some(hold.amount + 1), ..posting(hold) },
                None => Item { credit: debit, ..plain },
            },
            9 => Item { debit: 0, ..plain },
            10 => Item { amount: None, ..plain },
            // One that is malformed spoils all of its request.
            _ => return vec![self.plain(random), Item { credit: 0, ..plain }],
        };
        vec![item]
    }
}

/// Small ones mostly, and some that are more than most accounts have.
fn amount(random: &mut Rng) -> u64 {
    let most = match random.u8(0..20) {
        0..=9 => 20,
        10..=16 => 200,
        _ => 1500,
    };
    random.u64(1..=most)
}

fn posting(hold: Hold) -> Item {
    Item { pending_id: Some(hold.id), flags: POST_PENDING, ..Item::default() }
}

fn resolving(random: &mut Rng, hold: Hold) -> Item {
    match random.u8(0..6) {
        0 | 1 => posting(hold),
        2 => Item { amount: Some(hold.amount), ..posting(hold) },
        3 => Item { amount: Some(random.u64(1..=hold.amount)), ..posting(hold) },
        _ => Item { flags: VOID_PENDING, ..posting(hold) },
    }
}

fn rude(random: &mut Rng) -> Manner {
    match random.u8(0..10) {
        0 | 1 => Manner::CutBody,
        2..=6 => Manner::Leave(Duration::from_micros(random.u64(0..20_000))),
        _ => Manner::HalfClose,
    }
}

#[cfg(test)]
mod tests;
