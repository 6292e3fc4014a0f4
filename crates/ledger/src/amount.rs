use crate::json::{digits, text_or_number};
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::error::Error;
use std::fmt;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// An amount or a balance: 0 to 2^128-1, `numeric` in SQL.
///
/// Read as a JSON integer or decimal string, always written as a decimal string: JavaScript's numbers
/// cannot hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub u128);

const EXPECTED: &str =
    "must be a whole number from 0 to 2^128-1, as an integer or a decimal string";

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(itoa::Buffer::new().format(self.0))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        text_or_number(raw)
            .and_then(|text| digits(&text))
            .map(Self)
            .ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

const BASE: u128 = 10_000;
/// Base-10000 digits of 2^128-1.
const DIGITS_MAX: usize = 10;

/// PostgreSQL's binary `numeric` (`numeric_send`): digit count, weight of the first digit, sign and
/// display scale as 16-bit integers, then base-10000 digits, the most significant first.
impl ToSql for Amount {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let mut digits = [0i16; DIGITS_MAX];
        let mut first = DIGITS_MAX;
        let mut rest = self.0;
        while rest > 0 {
            first -= 1;
            digits[first] = i16::try_from(rest % BASE)?;
            rest /= BASE;
        }
        let digits = &digits[first..];
        let count = i16::try_from(digits.len())?;
        out.put_i16(count);
        out.put_i16((count - 1).max(0));
        out.put_i32(0); // sign +, scale 0
        for digit in digits {
            out.put_i16(*digit);
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Amount {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let (header, digits) = raw.split_at_checked(8).ok_or("a numeric without its header")?;
        let field = |at: usize| i16::from_be_bytes([header[at], header[at + 1]]);
        let (count, weight, sign, scale) = (field(0), field(2), field(4), field(6));
        if sign != 0 || scale != 0 || usize::try_from(count)? * 2 != digits.len() {
            return Err("a numeric that is not a whole number from 0 to 2^128-1".into());
        }
        let mut value: u128 = 0;
        let mut push = |digit: u128| -> Result<(), Box<dyn Error + Sync + Send>> {
            value = value
                .checked_mul(BASE)
                .and_then(|v| v.checked_add(digit))
                .ok_or("a numeric above 2^128-1")?;
            Ok(())
        };
        for pair in digits.chunks_exact(2) {
            push(u128::from(u16::from_be_bytes([pair[0], pair[1]])))?;
        }
        // Trailing zero digits are not sent; the weight tells how many there are.
        for _ in count..=weight {
            push(0)?;
        }
        Ok(Self(value))
    }

    accepts!(NUMERIC);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_survives_the_wire() {
        let edges = [0, 1, 9999, 10_000, 10_001, 100_000_000, u128::from(u64::MAX), u128::MAX];
        for value in edges.into_iter().chain((0..128).map(|bit| 1 << bit)) {
            let mut wire = BytesMut::new();
            Amount(value).to_sql(&Type::NUMERIC, &mut wire).unwrap();
            assert_eq!(Amount::from_sql(&Type::NUMERIC, &wire).unwrap(), Amount(value));
        }
    }

    #[test]
    fn numeric_without_its_trailing_zeros_is_read() {
        // 10000: one digit of weight one.
        let wire = [0, 1, 0, 1, 0, 0, 0, 0, 0, 1];
        assert_eq!(Amount::from_sql(&Type::NUMERIC, &wire).unwrap(), Amount(10_000));
    }

    #[test]
    fn numeric_that_is_no_amount_is_refused() {
        let negative = [0, 1, 0, 0, 0x40, 0, 0, 0, 0, 1];
        let fraction = [0, 1, 0xff, 0xff, 0, 0, 0, 1, 0x03, 0xe8];
        for wire in [&negative[..], &fraction, &[0, 1], &[0, 9, 0, 8, 0, 0, 0, 0]] {
            assert!(Amount::from_sql(&Type::NUMERIC, wire).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn json_is_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Amount>(text).map(|a| a.0).ok();
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("\"18446744073709551616\""), Some(1 << 64));
        assert_eq!(read("340282366920938463463374607431768211455"), Some(u128::MAX));
        for refused in [
            "340282366920938463463374607431768211456",
            "-1",
            "1.0",
            "1e3",
            "1.5",
            "\"\"",
            "\"+1\"",
            "\"-1\"",
            "\" 1\"",
            "\"1e3\"",
            "\"0x10\"",
            "true",
            "null",
            "[]",
            "\"NaN\"",
        ] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
