use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A 128-bit identifier of an account or a transfer, written as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Uuid);

/// The text is neither a UUID (`8-4-4-4-12`) nor a whole number from 0 to 2^128-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a UUID nor a whole number from 0 to 2^128-1")]
pub struct ParseIdError;

impl Id {
    /// A new id that sorts by time: UUIDv7 (RFC 9562, section 5.7).
    ///
    /// Store it with what it is for *before* the first attempt, so that a program that was restarted
    /// asks with the same id.
    // A default that is another one each time would surprise.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
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

impl From<Uuid> for Id {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<Id> for Uuid {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only the hyphenated form is a UUID: 32 digits alone are a number.
        let id = match text.contains('-') {
            true if text.len() == 36 => Uuid::try_parse(text).ok(),
            true => None,
            false if text.starts_with('+') => None,
            false => text.parse().ok().map(Uuid::from_u128),
        };
        id.map(Self).ok_or(ParseIdError)
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
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_or_a_number() {
        let text = "00000000-0000-0000-0000-00000000000a";
        assert_eq!(text.parse(), Ok(Id::from(10)));
        assert_eq!("10".parse(), Ok(Id::from(10)));
        assert_eq!(Id::from(10).to_string(), text);
        assert_eq!(u128::MAX.to_string().parse(), Ok(Id::from(u128::MAX)));
        for wrong in ["", "-1", "+1", "0x1", "1-1", "340282366920938463463374607431768211456"] {
            assert_eq!(wrong.parse::<Id>(), Err(ParseIdError), "{wrong}");
        }
    }

    #[test]
    fn new_ids_grow() {
        let ids: Vec<Id> = (0..1000).map(|_| Id::new()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
