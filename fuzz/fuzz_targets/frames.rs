//! What is told of a connection from the heads of its HTTP/2 frames.
#![no_main]

use giro_server::fuzz::follow;
use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|input: &[u8]| {
    let Some((cut, stream)) = input.split_first() else { return };
    let whole = follow(&[stream]);
    assert_eq!(whole, expected(stream));
    let (before, after) = stream.split_at(usize::from(*cut).min(stream.len()));
    assert_eq!(follow(&[before, after]), whole, "wherever it is cut");
});

/// The same from all bytes at once (RFC 9113, sections 3.4 and 4.1).
fn expected(stream: &[u8]) -> Option<(&'static str, bool)> {
    if PREFACE.starts_with(stream) && stream.len() < PREFACE.len() {
        return None;
    }
    let Some(mut rest) = stream.strip_prefix(PREFACE) else { return Some(("HTTP/1.1", false)) };
    let (mut has_started, mut in_header_block) = (false, false);
    while let [high, middle, low, kind, flags, _, _, _, _, payload @ ..] = rest {
        if matches!(kind, 1 | 9) {
            in_header_block = flags & 4 == 0;
        }
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let Some(next) = payload.get(length..) else {
            return Some(("HTTP/2", *kind != 0 || in_header_block || !has_started));
        };
        has_started = true;
        rest = next;
    }
    Some(("HTTP/2", !rest.is_empty() || in_header_block || !has_started))
}
