//! What an answer says: the outcomes of transfers, found without parsing it, and when who is refused may come back.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an answer says of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    Rejected,
    NotApplied,
    Unknown,
}

/// Transfers by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Done, and acknowledged.
    pub applied: u64,
    /// Refused for good.
    pub rejected: u64,
    /// Not done, such as because the server was busy.
    pub not_applied: u64,
    /// The server does not know.
    pub unknown: u64,
}

impl Outcomes {
    pub(crate) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Applied => self.applied += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::NotApplied => self.not_applied += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.applied += other.applied;
        self.rejected += other.rejected;
        self.not_applied += other.not_applied;
        self.unknown += other.unknown;
    }
}

const KEY: &[u8; 9] = br#""outcome""#;

const VALUES: [(&[u8], Outcome); 4] = [
    (br#""applied""#, Outcome::Applied),
    (br#""rejected""#, Outcome::Rejected),
    (br#""not_applied""#, Outcome::NotApplied),
    (br#""unknown""#, Outcome::Unknown),
];

/// Puts the values of all `"outcome"` keys in `json` into `found`, in order. A value that is not
/// an outcome is left out. A string cannot be taken for a key: the quotes in it are escaped.
pub(crate) fn scan(json: &[u8], found: &mut Vec<Outcome>) {
    found.clear();
    let mut rest = json;
    while let Some(at) = rest.array_windows().position(|window| window == KEY) {
        rest = &rest[at + KEY.len()..];
        let Some(value) = rest.trim_ascii_start().strip_prefix(b":") else {
            continue;
        };
        let value = value.trim_ascii_start();
        let outcome = VALUES.iter().find(|(text, _)| value.starts_with(text));
        found.extend(outcome.map(|(_, outcome)| *outcome));
    }
}

/// What a refused request is told to wait, by the server's own reckoning.
pub(crate) fn retry_after(json: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Refusal {
        retry_after_ms: u64,
    }
    let refusal: Refusal = serde_json::from_slice(json).ok()?;
    Some(Duration::from_millis(refusal.retry_after_ms))
}

#[cfg(test)]
mod tests {
    use super::Outcome::*;
    use super::*;

    fn scanned(json: &str) -> Vec<Outcome> {
        let mut found = vec![Applied];
        scan(json.as_bytes(), &mut found);
        found
    }

    #[test]
    fn every_outcome_is_found_in_order() {
        let json = r#"[{"id":"a","outcome":"applied"},{"outcome":"rejected","reason":"x"},
            {"outcome" : "not_applied"},{"reason":"timeout","outcome":"unknown"}]"#;
        assert_eq!(scanned(json), [Applied, Rejected, NotApplied, Unknown]);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let refusal = br#"{"outcome":"not_applied","reason":"queue_delay","retry_after_ms":120}"#;
        assert_eq!(retry_after(refusal), Some(Duration::from_millis(120)));
        assert_eq!(retry_after(br#"{"outcome":"not_applied"}"#), None);
        assert_eq!(retry_after(b"bad gateway"), None);
    }

    #[test]
    fn text_that_only_looks_like_an_outcome_is_not_one() {
        assert_eq!(scanned(r#"{"reason":"\"outcome\":\"applied\"","key":"outcome"}"#), []);
        assert_eq!(scanned(r#"{"outcome":"else"}"#), []);
        assert_eq!(scanned(r#"{"outcome":"#), []);
        assert_eq!(scanned(r#"{"outcome""#), []);
        assert_eq!(scanned(""), []);
    }
}
