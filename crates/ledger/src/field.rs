//! Fields that transfers and accounts share, and what is wrong with them.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
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

/// A caller's own text on a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference(String);

impl Reference {
    /// Characters, at most.
    pub const CHARS_MAX: usize = 128;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().count() > Self::CHARS_MAX {
            return Err(de::Error::custom("must be at most 128 characters long"));
        }
        if text.contains('\0') {
            return Err(de::Error::custom("must not contain the character U+0000"));
        }
        Ok(Self(text))
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

    /// From an object that was read back from the database.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        serde_json::value::to_raw_value(value).ok().map(Self)
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
        match serde_json::from_str::<Value>(raw.get()) {
            Ok(object @ Value::Object(_)) if !contains_nul(&object) => Ok(Self(raw)),
            Ok(Value::Object(_)) => Err(de::Error::custom("must not contain the character U+0000")),
            Ok(_) => Err(de::Error::custom("must be an object")),
            Err(error) => Err(de::Error::custom(error)),
        }
    }
}

/// PostgreSQL's jsonb holds any text but U+0000.
fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(contains_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || contains_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
