use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Where a page ended, and in which listing. Opaque to callers; any server of the same version
/// understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// A fingerprint of the listing's parameters.
    pub(super) listing: u64,
    /// The last item that was looked at, as the listing orders them.
    pub(super) position: u128,
}

/// What the position means may change: then so does this.
const VERSION: u8 = 1;

impl Cursor {
    pub(super) const PATTERN: &str = "^[0-9a-f]{50}$";
    pub(super) const MALFORMED: &str = "is not the next_cursor of a page";
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listing, position } = self;
        write!(f, "{VERSION:02x}{listing:016x}{position:032x}")
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let well_formed = text.len() == 50 && text.bytes().all(is_hex);
        let parse = || {
            let version = u8::from_str_radix(&text[..2], 16).ok()?;
            let listing = u64::from_str_radix(&text[2..18], 16).ok()?;
            let position = u128::from_str_radix(&text[18..], 16).ok()?;
            (version == VERSION).then_some(Self { listing, position })
        };
        well_formed.then(parse).flatten().ok_or(Self::MALFORMED)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let cursor = Cursor { listing: u64::MAX - 7, position: 1 << 100 };
        let text = cursor.to_string();
        assert_eq!(text.parse(), Ok(cursor));
        let longer = format!("{text}0");
        for wrong in ["", "x", &text[1..], &longer, &text.replace('f', "F"), &"é".repeat(25)] {
            assert_eq!(wrong.parse::<Cursor>(), Err(Cursor::MALFORMED), "{wrong}");
        }
        let newer = format!("02{}", &text[2..]);
        assert_eq!(newer.parse::<Cursor>(), Err(Cursor::MALFORMED));
    }
}
