//! Whole numbers that JSON carries as decimal strings, because JavaScript's numbers cannot hold them.

use serde::{Deserialize, Deserializer, Serializer, de};
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

pub(crate) fn deserialize<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: FromStr<Err: Display>,
{
    Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

pub(crate) fn serialize<N: Display, S: Serializer>(
    number: &N,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// For a field that is left out when there is nothing in it.
pub(crate) fn serialize_some<N: Display, S: Serializer>(
    number: &Option<N>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.collect_str(number),
        None => serializer.serialize_none(),
    }
}
