//! The body of `POST /transfers`, and of `POST /transfer`.
#![no_main]

use giro_fuzz::{elements, encodes, is_bad_request, transfer_types};
use giro_ledger::{Amount, AppliedTransfer, ApplyTransfers, Transfer, TransferRecord};
use giro_server::fuzz::{transfer, transfers};
use libfuzzer_sys::fuzz_target;

const ITEMS_MAX: usize = 8;

fuzz_target!(|body: &[u8]| {
    let items = match transfers(body, ITEMS_MAX) {
        Ok(items) => items,
        Err(told) => return is_bad_request(&told, body),
    };
    assert!((1..=ITEMS_MAX).contains(&items.len()));
    for (item, raw) in items.iter().zip(elements(body)) {
        assert!(item.bytes() <= Transfer::BYTES_MAX, "{item:?}");
        let id = Some(item.id());
        let alone = transfer(raw.get().as_bytes(), id).expect("what an array takes, sent alone");
        let first = shown(item);
        assert_eq!(shown(&alone), first);
        // What its caller is shown is what was sent. An imported one is not shown its own time, and
        // a scope goes without an amount, which is shown.
        match transfer(first.as_bytes(), None) {
            Ok(again) => assert_eq!(shown(&again), first),
            Err(told) => assert_eq!(told["field"], "timestamp", "{first}: {told}"),
        }
    }
    encodes::<ApplyTransfers>(&[items], &transfer_types());
});

/// As it is returned, had the ledger added nothing.
fn shown(item: &Transfer) -> String {
    let applied = AppliedTransfer { amount: Amount(7), inherited: None, recorded: None };
    serde_json::to_string(&TransferRecord::new(item.clone(), applied, true)).expect("JSON")
}
