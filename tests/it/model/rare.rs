//! What random programs seldom come to, in one program.

use super::program::{What, Written};
use giro_checker::model::transfer::*;
use giro_checker::model::{MAX, NewAccount, Transfer, account};

const SECOND: i64 = 1_000_000;

/// Accounts 1 to 7 are created at one moment, 8 is created later, 11 and 12 are imported. 3 and 4 are full of
/// posted amounts, 5 and 6 of pending ones.
pub(super) fn program(start: i64) -> Vec<Written> {
    let (then, later, now) = (start + SECOND, start + 3 * SECOND, start + 9 * SECOND);
    let new = |id| NewAccount { id, ledger: 1, code: 1, ..NewAccount::default() };
    let old = |id, at| NewAccount { flags: account::IMPORTED, timestamp: Some(at), ..new(id) };
    let both = account::DEBITS_MUST_NOT_EXCEED_CREDITS | account::CREDITS_MUST_NOT_EXCEED_DEBITS;
    let accounts = vec![
        vec![NewAccount { flags: both, ..new(1) }, NewAccount { code: 0, ..new(1) }],
        vec![old(11, start + 2), old(12, start + 2), NewAccount { code: 0, ..old(12, start + 3) }],
    ];
    let t = |id, debit, credit, amount, flags| {
        let amount = Some(amount);
        Transfer { id, ledger: 1, debit, credit, amount, code: 1, flags, ..Transfer::default() }
    };
    let post = |id, hold| Transfer {
        id,
        ledger: 1,
        flags: POST_PENDING,
        pending_id: Some(hold),
        ..Transfer::default()
    };
    let import = |id, debit, credit, at, flags| Transfer {
        timestamp: Some(at),
        ..t(id, debit, credit, 1, flags | IMPORTED)
    };
    let full = vec![
        t(20, 3, 4, MAX, 0),
        t(21, 3, 1, 1, 0),
        t(22, 1, 4, 1, 0),
        t(23, 5, 6, MAX, PENDING),
        t(24, 5, 1, 1, PENDING),
        t(25, 1, 6, 1, PENDING),
        t(26, 5, 1, 1, 0),
        t(27, 1, 6, 1, 0),
        // The last second of PostgreSQL's times, and the one after.
        Transfer { timeout: seconds_left(later), ..t(28, 1, 2, 1, PENDING) },
        Transfer { timeout: seconds_left(later) + 1, ..t(29, 1, 2, 1, PENDING) },
    ];
    let holds = vec![
        t(30, 1, 2, 5, PENDING),
        Transfer { code: 9, ..post(31, 30) },
        Transfer { debit: 2, ..post(32, 30) },
        Transfer { credit: 1, ..post(33, 30) },
        Transfer { amount: Some(6), ..post(34, 30) },
        post(MAX, 30),
        post(35, MAX),
        t(36, 99, 1, 1, 0),
        t(37, 1, 99, 1, 0),
        t(38, 1, 1, 1, 0),
        t(39, MAX, 0, 1, 0),
        t(40, 1, MAX, 1, 0),
    ];
    let imports = vec![
        import(50, 7, 8, then + SECOND, 0),
        import(51, 8, 7, then + SECOND, 0),
        Transfer { timeout: 1, ..import(52, 7, 8, later + 1, PENDING) },
        import(53, 7, 8, later + 1, 0),
        import(54, 7, 8, later + 1, 0),
    ];
    vec![
        (then, What::Create(vec![(1..8).map(new).collect()])),
        (later, What::Create(vec![vec![new(8)]])),
        (later, What::Create(accounts)),
        (later, What::Apply(vec![full, holds])),
        (now, What::Apply(vec![imports])),
    ]
}

/// Whole seconds until 294277-01-01, where PostgreSQL's times end.
fn seconds_left(now: i64) -> u64 {
    (9_224_318_016_000 - now / SECOND - 1) as u64
}
