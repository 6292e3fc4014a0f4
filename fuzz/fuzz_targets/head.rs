//! The head of a request: its URL in the first line of the input, then a header in each line.
#![no_main]

use giro_ledger::Id;
use giro_server::fuzz::{Asked, Head, Told};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::time::Duration;

const DEFAULT: Duration = Duration::from_secs(2);
const MAX: Duration = Duration::from_secs(30);

fuzz_target!(|text: &[u8]| -> Corpus {
    let mut lines = text.split(|byte| *byte == b'\n');
    let url = lines.next().unwrap_or_default();
    let headers: Vec<&[u8]> = lines.collect();
    let Some(head) = Head::new(url, &headers) else { return Corpus::Reject };
    timeout(&head);
    key(&head);
    let of = |name: &str| head.headers().get(name).map(|value| value.as_bytes());
    if head.is_json() {
        assert!(of("content-type").is_some_and(|value| value.is_ascii() && value.len() >= 16));
    }
    let account = Some(Id::from(7));
    page(&head, |head| head.transfers(None).map(Some));
    page(&head, |head| head.transfers(account).map(Some));
    page(&head, |head| head.accounts().map(Some));
    page(&head, |head| head.balances(Id::from(7)));
    match head.ledger() {
        Ok(ledger) => assert!(ledger >= 1),
        Err(told) => names_what_was_sent(&head, &told),
    }
    Corpus::Keep
});

fn timeout(head: &Head) {
    let given = head.headers().get_all("request-timeout-ms").iter().count();
    match head.timeout(DEFAULT, MAX) {
        Ok(time) if given == 0 => assert!(time >= DEFAULT),
        // The clock has gone on a little since.
        Ok(time) => assert!(given == 1 && time >= Duration::from_millis(1) && time <= MAX * 2),
        Err(told) => {
            assert!(given > 0);
            is_refused_for(&told, "Request-Timeout-Ms");
        }
    }
}

fn key(head: &Head) {
    let given = head.headers().get_all("idempotency-key").iter().count();
    match head.key() {
        Ok(None) => assert_eq!(given, 0),
        Ok(Some(id)) => {
            assert_eq!(given, 1);
            assert_eq!(id.to_string().parse(), Ok(id), "read as it is written");
            assert_eq!(u128::from(id).to_string().parse(), Ok(id), "or as a number");
        }
        Err(told) => {
            assert!(given > 0);
            is_refused_for(&told, "Idempotency-Key");
        }
    }
}

/// The next page of a listing is asked for by the same URL with the cursor, and by no other.
fn page(head: &Head, read: impl Fn(&Head) -> Result<Option<Asked>, Told>) {
    let asked = match read(head) {
        Ok(Some(asked)) => asked,
        Ok(None) => return,
        Err(told) => return names_what_was_sent(head, &told),
    };
    assert!((1..=1000).contains(&asked.limit));
    if head.uri().query().is_some_and(|query| query.contains('%')) {
        return; // a name may be encoded: `with` would not know it
    }
    let next = read(&with(head, &format!("cursor={}", asked.next))).unwrap().unwrap();
    assert_eq!(next, Asked { after: Some(7), ..asked.clone() });
    let other = format!("cursor={}&ledger=9", asked.next);
    // It may have been the ledger before.
    if !head.uri().query().is_some_and(|query| query.contains('9')) {
        is_refused_for(&read(&with(head, &other)).unwrap_err(), "cursor");
    }
}

/// The same with these parameters instead of its own of the same names.
fn with(head: &Head, parameters: &str) -> Head {
    let names: Vec<&str> = parameters.split('&').filter_map(|it| it.split('=').next()).collect();
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && !names.contains(&name)
    };
    let own = head.uri().query().unwrap_or_default();
    let pairs: Vec<&str> = own.split('&').filter(is_kept).chain([parameters]).collect();
    let url = format!("{}?{}", head.uri().path(), pairs.join("&"));
    Head::new(url.as_bytes(), &[]).expect("a URL")
}

fn is_refused_for(told: &Told, field: &str) {
    assert_eq!((&told["field"], &told["status"]), (&field.into(), &400.into()), "{told}");
    let said = told["detail"].as_str().unwrap_or_default();
    assert!(said.starts_with(field) && said.len() > field.len() + 1, "{told}");
}

/// A field that is at fault is one that was sent.
fn names_what_was_sent(head: &Head, told: &Told) {
    assert_eq!(told["status"], 400, "{told}");
    let query = head.uri().query().unwrap_or_default();
    if let Some(field) = told["field"].as_str() {
        let plain = field.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(!plain || query.contains(field) || query.contains('%'), "{told}");
        is_refused_for(told, field);
    }
}
