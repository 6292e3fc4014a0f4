use crate::json::{digits, text_or_number};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A 128-bit identifier of an account or a transfer.
///
/// Read as a UUID string (`8-4-4-4-12`) or as an unsigned integer, and always written as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) Uuid);

const EXPECTED: &str = "must be a UUID (8-4-4-4-12) or a whole number from 0 to 2^128-1";

impl Id {
    pub(crate) const ZERO: Self = Self(Uuid::nil());

    /// A new id that sorts by time: UUIDv7 (RFC 9562, section 5.7).
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for Id {
    fn default() -> Self {
        Self::new()
    }
}

impl From<u128> for Id {
    fn from(value: u128) -> Self {
        Self(Uuid::from_u128(value))
    }
}

impl From<Id> for u128 {
    fn from(id: Id) -> Self {
        id.0.as_u128()
    }
}

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only the hyphenated form is a UUID: 32 digits alone are a number.
        let id = match text.contains('-') {
            true if text.len() == 36 => Uuid::try_parse(text).ok(),
            true => None,
            false => digits(text).map(Uuid::from_u128),
        };
        id.map(Self).ok_or(EXPECTED)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        text_or_number(raw)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_any_length_is_an_id() {
        for length in 1..=38 {
            let number = "1".repeat(length);
            let expected = Id::from(number.parse::<u128>().unwrap());
            assert_eq!(number.parse(), Ok(expected), "{length} digits");
            assert_eq!(expected.to_string().parse(), Ok(expected));
        }
        assert_eq!(u128::MAX.to_string().parse(), Ok(Id::from(u128::MAX)));
        for wrong in ["", "-", "-1", "340282366920938463463374607431768211456", "1-1", "0x1"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
