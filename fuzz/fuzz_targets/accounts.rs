//! The body of `POST /accounts`, and of `POST /account`.
#![no_main]

use giro_fuzz::{account_types, elements, encodes, is_bad_request};
use giro_ledger::{
    AccountFlags, AccountRecord, Amount, Balances, CreateAccounts, CreatedAccount, Metadata,
    NewAccount, Reference,
};
use giro_server::fuzz::{account, accounts};
use libfuzzer_sys::fuzz_target;
use std::time::SystemTime;

const ITEMS_MAX: usize = 8;
const BYTES_MAX: usize = 96 + Reference::CHARS_MAX * 4 + Metadata::BYTES_MAX;

fuzz_target!(|body: &[u8]| {
    let items = match accounts(body, ITEMS_MAX) {
        Ok(items) => items,
        Err(told) => return is_bad_request(&told, body),
    };
    assert!((1..=ITEMS_MAX).contains(&items.len()));
    for (item, raw) in items.iter().zip(elements(body)) {
        assert!(item.bytes() <= BYTES_MAX, "{item:?}");
        let id = Some(item.id());
        let alone = account(raw.get().as_bytes(), id).expect("what an array takes, sent alone");
        let first = shown(item);
        assert_eq!(shown(&alone), first);
        let again = account(first.as_bytes(), None).expect("what is shown can be sent");
        assert_eq!(shown(&again), first);
    }
    encodes::<CreateAccounts>(&[items], &account_types());
});

/// As it is returned, but for its flags and balances.
fn shown(item: &NewAccount) -> String {
    let balances = Balances {
        debits_pending: Amount(0),
        debits_posted: Amount(0),
        credits_pending: Amount(0),
        credits_posted: Amount(0),
        version: 0,
        created_at: SystemTime::UNIX_EPOCH,
    };
    let created = CreatedAccount { flags: AccountFlags::default(), balances };
    let shown = serde_json::to_string(&AccountRecord::new(item.clone(), created)).expect("JSON");
    let last = shown.rfind(r#","debits_pending""#).expect("balances come last");
    format!("{}}}", &shown[..last])
}
