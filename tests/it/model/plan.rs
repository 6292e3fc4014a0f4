//! What a random program is made of. A plan says "post a hold that is open", not which: that is found
//! when the program is written down against the model (`program.rs`, `writer.rs`).

use giro_checker::model::transfer::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Accounts that exist from the start in either ledger: 1 to this.
pub(super) const ACCOUNTS: u128 = 5;

const MAX: u128 = u128::MAX;

/// A wait in microseconds, and one call.
pub(super) type Step = (i64, Call);

#[derive(Debug, Clone)]
pub(super) enum Call {
    /// Creates accounts, request by request.
    Create(Vec<super::accounts::Request>),
    /// Applies transfers, request by request.
    Apply(Vec<Request>),
    /// Releases so many holds at most.
    Expire(i32),
}

#[derive(Debug, Clone)]
pub(super) enum Request {
    /// Of new items. Rarely the last one is left linked.
    Fresh { imports: bool, open: bool, items: Vec<Item> },
    /// A request that was sent before, perhaps without its last items, perhaps altered in one.
    Again { which: Index, shorter: usize, altered: Option<(Index, Change)> },
    /// Settles an id: one that was sent, or one that is so far from being sent.
    Cancel { which: Index, ahead: Option<u128> },
}

/// An item that is likely to be applied, and then changed so that it is not.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) base: Base,
    pub(super) linked: bool,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(super) enum Base {
    /// A direct transfer or a hold.
    Direct {
        ledger: u32,
        debit: u128,
        /// From the debit account to the credit account, around the circle of accounts.
        distance: u128,
        amount: u128,
        flags: u32,
        timeout: u64,
        expects: bool,
    },
    /// Posts or voids a hold.
    Resolve { which: Index, flag: u32, amount: Part, says_all: bool, scope_chain: bool },
    /// An item that was sent before, perhaps altered.
    Repeat(Index, Option<Change>),
}

/// How much of a hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Absent,
    Whole,
    Less(u128),
    More,
    Max,
}

/// A field, and what becomes of it.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Id(u128),
    /// Turns a bit over.
    Flag(u32),
    Ledger(u32),
    Debit(u128),
    Credit(u128),
    Amount(u128),
    Code(u32),
    PendingId(Option<u128>),
    /// To the id of the item itself.
    OwnPendingId,
    Timeout(u64),
    Reference,
    Metadata,
    /// So far from the version that the account has.
    ExpectDebit(i64),
    ExpectCredit(i64),
    /// So far from the moment at which an import must be later, or no time.
    Timestamp(Option<i64>),
    /// So far from now.
    TimestampFromNow(i64),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Imports are refused on accounts that have moved on: they succeed where most requests import.
    prop_oneof![3 => Just(1), 1 => Just(100)].prop_flat_map(steps_with)
}

fn steps_with(imports: u32) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![3 => Just(0), 1 => Just(1), 5 => (1..9_i64).prop_map(|s| s * 1_000_000)];
    let call = prop_oneof![
        14 => vec(request(imports), 1..7).prop_map(Call::Apply),
        3 => vec(super::accounts::request(), 1..4).prop_map(Call::Create),
        2 => prop_oneof![1 => Just(1), 1 => Just(2), 2 => Just(1000)].prop_map(Call::Expire),
    ];
    vec((wait, call), 3..12)
}

fn request(imports: u32) -> impl Strategy<Value = Request> {
    let altered = proptest::option::of((any::<Index>(), change()));
    let shorter = prop_oneof![5 => Just(0_usize), 1 => 1..3_usize];
    let again = (any::<Index>(), shorter, altered)
        .prop_map(|(which, shorter, altered)| Request::Again { which, shorter, altered });
    let fresh = |imports, most| {
        (vec(item(), 1..most), prop::bool::weighted(0.06))
            .prop_map(move |(items, open)| Request::Fresh { imports, open, items })
    };
    let holds = vec(item(), 2..5).prop_map(chain_of_holds);
    let cancel = (any::<Index>(), proptest::option::of(1..9_u128))
        .prop_map(|(which, ahead)| Request::Cancel { which, ahead });
    prop_oneof![8 => fresh(false, 7), imports => fresh(true, 4), 2 => holds, 3 => again, 2 => cancel]
}

fn chain_of_holds(mut items: Vec<Item>) -> Request {
    for item in &mut items {
        item.linked = true;
        item.changes.clear();
        if let Base::Direct { flags, .. } = &mut item.base {
            *flags = PENDING;
        }
    }
    Request::Fresh { imports: false, open: false, items }
}

fn item() -> impl Strategy<Value = Item> {
    let changes = prop_oneof![
        30 => Just(0_usize), 10 => Just(1), 3 => Just(2), 1 => Just(3)
    ]
    .prop_flat_map(|n| vec(change(), n));
    (base(), prop::bool::weighted(0.25), changes).prop_map(|(base, linked, changes)| Item {
        base,
        linked,
        changes,
    })
}

fn base() -> impl Strategy<Value = Base> {
    let amount =
        prop_oneof![60 => 0..30_u128, 1 => Just(MAX), 1 => Just(MAX - 20), 1 => Just(MAX / 2)];
    let flags = prop_oneof![
        16 => Just(0),
        12 => Just(PENDING),
        2 => Just(BALANCING_DEBIT),
        2 => Just(BALANCING_CREDIT),
        2 => Just(BALANCING_DEBIT | BALANCING_CREDIT),
        2 => select(vec![BALANCING_DEBIT | PENDING, BALANCING_CREDIT | PENDING]),
        1 => select(vec![CLOSING_DEBIT | PENDING, CLOSING_CREDIT | PENDING]),
    ];
    let timeout = prop_oneof![2 => Just(0_u64), 2 => 1..12_u64];
    let ledger = prop_oneof![3 => Just(1_u32), 1 => Just(2)];
    let direct =
        (ledger, 1..=ACCOUNTS, 1..ACCOUNTS, amount, flags, timeout, prop::bool::weighted(0.1))
            .prop_map(|(ledger, debit, distance, amount, flags, timeout, expects)| Base::Direct {
                ledger,
                debit,
                distance,
                amount,
                flags,
                timeout: if flags & PENDING != 0 { timeout } else { 0 },
                expects,
            });
    let part = prop_oneof![
        4 => Just(Part::Absent),
        2 => Just(Part::Whole),
        2 => (0..8_u128).prop_map(Part::Less),
        1 => Just(Part::More),
        1 => Just(Part::Max),
    ];
    let flag = select(vec![POST_PENDING, VOID_PENDING]);
    let resolve =
        (any::<Index>(), flag, part, prop::bool::weighted(0.3), prop::bool::weighted(0.3))
            .prop_map(|(which, flag, amount, says_all, scope_chain)| Base::Resolve {
                which,
                flag,
                amount: if scope_chain { Part::Absent } else { amount },
                says_all,
                scope_chain,
            });
    let repeat = (any::<Index>(), proptest::option::of(change()))
        .prop_map(|(which, change)| Base::Repeat(which, change));
    prop_oneof![10 => direct, 5 => resolve, 3 => repeat]
}

fn change() -> impl Strategy<Value = Change> {
    let id = || prop_oneof![1 => Just(0), 1 => Just(MAX), 2 => 1..60_u128];
    let account = || prop_oneof![2 => 1..=ACCOUNTS + 2, 1 => Just(0), 1 => Just(MAX)];
    let amount = prop_oneof![2 => 0..40_u128, 1 => Just(MAX), 1 => Just(MAX - 3)];
    let version = || prop_oneof![1 => Just(0_i64), 1 => -1..=1_i64];
    let timestamp = prop_oneof![1 => Just(None), 3 => (-2..=1_i64).prop_map(Some)];
    let timeout = prop_oneof![
        2 => 0..9_u64,
        // Around the end of PostgreSQL's times, and that of 64 bits.
        2 => 9_222_000_000_000..9_226_000_000_000_u64,
        1 => Just(i64::MAX as u64),
    ];
    prop_oneof![
        1 => id().prop_map(Change::Id),
        1 => (0..9_u32).prop_map(|bit| Change::Flag(1 << bit)),
        1 => (0..9_u32).prop_map(|bit| Change::Flag(1 << bit)),
        1 => (0..3_u32).prop_map(Change::Ledger),
        1 => account().prop_map(Change::Debit),
        1 => account().prop_map(Change::Credit),
        1 => amount.prop_map(Change::Amount),
        1 => (0..3_u32).prop_map(Change::Code),
        1 => proptest::option::of(id()).prop_map(Change::PendingId),
        1 => Just(Change::OwnPendingId),
        1 => timeout.prop_map(Change::Timeout),
        1 => Just(Change::Reference),
        1 => Just(Change::Metadata),
        1 => version().prop_map(Change::ExpectDebit),
        1 => version().prop_map(Change::ExpectCredit),
        2 => timestamp.prop_map(Change::Timestamp),
        1 => (-2..=1_i64).prop_map(Change::TimestampFromNow),
    ]
}
