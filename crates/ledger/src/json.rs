//! How 128-bit numbers are read from JSON: an integer or a decimal string, nothing else.

use serde_json::value::RawValue;
use std::borrow::Cow;

/// The text of a JSON string, or of a JSON number as it was written.
pub(crate) fn text_or_number(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        // Nearly always there is nothing to unescape.
        b'"' if !text.contains('\\') => Some(Cow::Borrowed(&text[1..text.len() - 1])),
        b'"' => serde_json::from_str(text).ok(),
        b'0'..=b'9' => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

/// A whole number from 0 to 2^128-1 written in decimal digits only: no sign, point or exponent.
pub(crate) fn digits(text: &str) -> Option<u128> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
