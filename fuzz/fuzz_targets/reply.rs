//! The row that answers a batch, and what the caller is shown of it. The first byte says which function
//! was called, with how many items, and whether the rest is the values of the row, each behind two bytes
//! of length (ffff: NULL), or everything that the server sends.
#![no_main]

use giro_fuzz::server::{Session, data_row};
use giro_fuzz::{account_types, header, transfer_types};
use giro_ledger::{
    AccountRecord, ApplyTransfers, ArrayCall, CreateAccounts, NewAccount, Transfer, TransferRecord,
    Verdict,
};
use giro_server::fuzz::{account, transfer};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokio_postgres::types::Type;

const TOKEN: i64 = 7;
const ITEMS_MAX: usize = 3;

thread_local! {
    static TRANSFERS: RefCell<Option<Session>> = const { RefCell::new(None) };
    static ACCOUNTS: RefCell<Option<Session>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let items = usize::from(how >> 2) % (ITEMS_MAX + 1);
    let values = values(rest);
    let answer = if how & 2 == 0 { data_row(&values) } else { rest.to_vec() };
    let row = (how & 2 == 0).then_some(&values[..]);
    if how & 1 == 0 {
        TRANSFERS.with_borrow_mut(|session| {
            let open = || Session::new(&transfer_types(), &TRANSFER_COLUMNS);
            let items = (1..=items).map(a_transfer).collect();
            judge::<ApplyTransfers>(
                session,
                open,
                items,
                answer,
                row,
                |item, applied, replayed| {
                    serde_json::to_string(&TransferRecord::new(item, applied, replayed))
                },
            );
        });
    } else {
        ACCOUNTS.with_borrow_mut(|session| {
            let open = || Session::new(&account_types(), &ACCOUNT_COLUMNS);
            let items = (1..=items).map(an_account).collect();
            judge::<CreateAccounts>(session, open, items, answer, row, |item, applied, _| {
                serde_json::to_string(&AccountRecord::new(item, applied))
            });
        });
    }
});

fn judge<C: ArrayCall>(
    session: &mut Option<Session>,
    open: impl FnOnce() -> Session,
    items: Vec<C::Item>,
    answer: Vec<u8>,
    values: Option<&[Option<&[u8]>]>,
    show: impl Fn(C::Item, C::Applied, bool) -> serde_json::Result<String>,
) {
    let (count, header, requests) = (items.len(), header(TOKEN), [items]);
    let columns = C::columns(&requests);
    let rows = session.get_or_insert_with(open).call(&C::parameters(&header, &columns), answer);
    let Some(Ok(rows)) = rows else {
        *session = None; // what comes after an answer that cannot be read belongs to nothing
        return;
    };
    let [row] = &rows[..] else { return };
    let Ok(verdicts) = C::verdicts(row, &header, &columns) else { return };
    assert_eq!(verdicts.len(), count, "one verdict an item");
    if let Some(values) = values {
        assert_eq!(values[0], Some(&TOKEN.to_be_bytes()[..]), "another call's reply is taken");
        let ids: Vec<u8> = (1..=count).flat_map(|id| (id as u128).to_be_bytes()).collect();
        let found = values[2].unwrap_or_default();
        let of = |id: usize| &found[20 + (id - 1) * 20 + 4..][..16];
        let found: Vec<u8> = (1..=count).flat_map(of).copied().collect();
        assert_eq!(found, ids, "another batch's reply is taken");
    }
    drop(columns);
    let [items] = requests;
    for (item, verdict) in items.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Applied { replayed, applied } => {
                let shown = show(item, applied, replayed).expect("what is taken can be shown");
                assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
            }
            Verdict::Rejected { reason, .. } => assert!(!reason.name().is_empty()),
        }
    }
}

/// Values behind their lengths; what is cut off is shorter.
fn values(mut rest: &[u8]) -> Vec<Option<&[u8]>> {
    let mut values = Vec::new();
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let is_null = length == usize::from(u16::MAX);
        let (value, later) = after.split_at(if is_null { 0 } else { length.min(after.len()) });
        values.push((!is_null).then_some(value));
        rest = later;
    }
    values
}

fn a_transfer(id: usize) -> Transfer {
    let body = format!(r#"{{"id":{id},"debit_account":1,"credit_account":2,"amount":3}}"#);
    transfer(body.as_bytes(), None).expect("a transfer")
}

fn an_account(id: usize) -> NewAccount {
    account(format!(r#"{{"id":{id}}}"#).as_bytes(), None).expect("an account")
}

const TRANSFER_COLUMNS: [(&str, Type); 11] = [
    ("echo", Type::INT8),
    ("batch_id", Type::INT8),
    ("result_ids", Type::UUID_ARRAY),
    ("reasons", Type::TEXT_ARRAY),
    ("replayed", Type::BOOL_ARRAY),
    ("seqs", Type::INT8_ARRAY),
    ("result_amounts", Type::NUMERIC_ARRAY),
    ("created_ats", Type::TIMESTAMPTZ_ARRAY),
    ("result_debits", Type::UUID_ARRAY),
    ("result_credits", Type::UUID_ARRAY),
    ("result_codes", Type::INT4_ARRAY),
];

const ACCOUNT_COLUMNS: [(&str, Type); 12] = [
    ("echo", Type::INT8),
    ("batch_id", Type::INT8),
    ("result_ids", Type::UUID_ARRAY),
    ("reasons", Type::TEXT_ARRAY),
    ("replayed", Type::BOOL_ARRAY),
    ("debits_pending", Type::NUMERIC_ARRAY),
    ("debits_posted", Type::NUMERIC_ARRAY),
    ("credits_pending", Type::NUMERIC_ARRAY),
    ("credits_posted", Type::NUMERIC_ARRAY),
    ("versions", Type::INT8_ARRAY),
    ("created_ats", Type::TIMESTAMPTZ_ARRAY),
    ("result_flags", Type::INT4_ARRAY),
];
