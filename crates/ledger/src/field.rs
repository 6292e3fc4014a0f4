//! Fields that transfers and accounts share, and what is wrong with them.

use crate::json::{digits, text_or_number};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// A field whose value cannot make a valid request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct FieldError {
    /// The field's name in JSON.
    pub field: &'static str,
    /// What is wrong, as a clause that follows the name.
    pub problem: &'static str,
}

pub(crate) fn refuse<T>(field: &'static str, problem: &'static str) -> Result<T, FieldError> {
    Err(FieldError { field, problem })
}

/// A value that may be absent, but not null.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// 0 is let through: it is judged, and refused as `ledger_must_not_be_zero`.
pub(crate) fn ledger(value: Option<u32>) -> Result<i32, FieldError> {
    i32::try_from(value.unwrap_or(1))
        .or_else(|_| refuse("ledger", "must be a whole number from 1 to 2147483647"))
}

/// 0 is let through: it is judged, and refused as `code_must_not_be_zero`.
pub(crate) fn code(value: Option<u32>) -> Result<i32, FieldError> {
    match value.unwrap_or(1) {
        code @ 0..=65535 => Ok(code as i32),
        _ => refuse("code", "must be a whole number from 1 to 65535"),
    }
}

/// 0 is none: the hold never expires.
pub(crate) fn timeout(value: Option<u64>) -> Result<Option<i64>, FieldError> {
    match value.map(i64::try_from) {
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(seconds)) => Ok(Some(seconds)),
        Some(Err(_)) => refuse("timeout", "must be a whole number of seconds below 2^63"),
    }
}

/// The version of an account: an integer, or a decimal string as it is returned.
pub(crate) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    text_or_number(raw)
        .and_then(|text| digits(&text))
        .and_then(|version| i64::try_from(version).ok())
        .map(Some)
        .ok_or_else(|| de::Error::custom("must be a whole number from 0 to 2^63-1"))
}

/// A caller's own text on a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference(String);

impl Reference {
    /// Characters, at most.
    pub const CHARS_MAX: usize = 128;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// From what was read back from the database.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.chars().count() > Self::CHARS_MAX {
            return Err("must be at most 128 characters long");
        }
        if text.contains('\0') {
            return Err("must not contain the character U+0000");
        }
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A caller's own JSON object on a record, kept as it was written.
#[derive(Clone)]
pub struct Metadata(Box<RawValue>);

impl Metadata {
    /// Bytes of JSON text, at most.
    pub const BYTES_MAX: usize = 4096;

    pub(crate) fn raw(&self) -> &RawValue {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.get().len()
    }

    /// From an object that was read back from the database, to the letter.
    pub(crate) fn from_stored(json: Box<RawValue>) -> Self {
        Self(json)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get())
    }
}

impl Serialize for Metadata {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().len() > Self::BYTES_MAX {
            return Err(de::Error::custom("must be at most 4096 bytes of JSON"));
        }
        if !has_small_exponents(raw.get()) {
            return Err(de::Error::custom("must not contain a number with an exponent beyond 99"));
        }
        if !raw.get().starts_with('{') {
            return Err(de::Error::custom("must be an object"));
        }
        serde_json::from_str::<Storable>(raw.get()).map_err(de::Error::custom)?;
        Ok(Self(raw))
    }
}

/// jsonb holds numbers as numeric, without an exponent: `1e-20000` would fail the whole batch, and many
/// of `1e307` would come back a hundred times as long.
fn has_small_exponents(json: &str) -> bool {
    let mut in_text = false;
    let mut previous = b' ';
    let mut bytes = json.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'e' | b'E' if !in_text && previous.is_ascii_digit() => {
                let exponent =
                    json[at + 1..].trim_start_matches(['+', '-']).trim_start_matches('0');
                if exponent.bytes().take_while(u8::is_ascii_digit).count() > 2 {
                    return false;
                }
            }
            _ => {}
        }
        previous = byte;
    }
    true
}

/// JSON that jsonb can hold: no U+0000 in any text, also not under a key that is given twice. PostgreSQL
/// reads what serde_json::Value would have dropped.
struct Storable;

impl<'de> Deserialize<'de> for Storable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Storable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self, E> {
        if text.contains('\0') {
            return Err(E::custom("must not contain the character U+0000"));
        }
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_cannot_hold_is_refused_and_nothing_else() {
        for json in [
            r#"{"k":1e-20000}"#,
            r#"{"k":[0E-20000]}"#,
            r#"{"k":1.5e+0000101}"#,
            r#"{"k":1e999}"#,
            r#"{"k":"\u0000"}"#,
            r#"{"\u0000":1}"#,
            r#"{"k":"\u0000","k":1}"#,
            r#"{"k":{"\u0000":1},"k":1}"#,
            r#"["k"]"#,
            r#""k""#,
            "null",
        ] {
            assert!(serde_json::from_str::<Metadata>(json).is_err(), "{json}");
        }
        for json in [
            r#"{"k":1e-99,"l":0.5E3,"true":true,"m":false,"n":null,"o":[1,-1,{}]}"#,
            r#"{"1e-20000":"\"1e-20000","b":"\\u0000","c":"\\"}"#,
            r#"{"k":123456789012345678901234567890.123}"#,
            r#"{"$serde_json::private::RawValue":"x","$serde_json::private::RawValue":1}"#,
        ] {
            assert!(serde_json::from_str::<Metadata>(json).is_ok(), "{json}");
        }
    }
}
