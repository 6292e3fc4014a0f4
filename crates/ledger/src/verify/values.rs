//! Values as they are stored, sound or not: an audit must be able to read what should not be there.

use crate::Amount;
use std::error::Error;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use tokio_postgres::types::{FromSql, Type, accepts};

type DecodeError = Box<dyn Error + Sync + Send>;

/// A stored amount or balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    negative: bool,
    /// Nothing: above 2^128-1, or not a whole number.
    magnitude: Option<u128>,
}

impl Stored {
    /// The amount, if it is one.
    pub(super) fn amount(self) -> Option<u128> {
        self.magnitude.filter(|_| !self.negative)
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.magnitude {
            Some(magnitude) if self.negative => write!(f, "-{magnitude}"),
            Some(magnitude) => magnitude.fmt(f),
            None => f.write_str("not an amount"),
        }
    }
}

/// Of `numeric_send`, the sign: bytes 4 and 5.
const NEGATIVE: [u8; 2] = [0x40, 0];

impl<'a> FromSql<'a> for Stored {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        let negative = raw.get(4..6) == Some(&NEGATIVE);
        let amount = if negative {
            let unsigned = [&raw[..4], &[0, 0], &raw[6..]].concat();
            Amount::from_sql(ty, &unsigned)
        } else {
            Amount::from_sql(ty, raw)
        };
        Ok(Self { negative, magnitude: amount.ok().map(|amount| amount.0) })
    }

    accepts!(NUMERIC);
}

/// A moment as PostgreSQL keeps it: microseconds since 2000, and two infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

/// From 1970 to 2000, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

impl Moment {
    /// This long after; the end of time when there is no such moment.
    pub(super) fn after_seconds(self, seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000).saturating_add(self.0))
    }

    /// The same but for what PostgreSQL rounds: seconds of an interval are floating point.
    pub(super) fn is_near(self, other: Self) -> bool {
        self.0.abs_diff(other.0) <= 1024
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_1970 = self.0.checked_add(EPOCH).and_then(|micros| u64::try_from(micros).ok());
        match since_1970.and_then(|micros| UNIX_EPOCH.checked_add(Duration::from_micros(micros))) {
            // What RFC 3339 can write.
            Some(time) if self.0 < 252_455_616_000_000_000 => {
                humantime::format_rfc3339_micros(time).fmt(f)
            }
            _ => write!(f, "{} microseconds from 2000", self.0),
        }
    }
}

impl<'a> FromSql<'a> for Moment {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(wire: &[u8]) -> Stored {
        Stored::from_sql(&Type::NUMERIC, wire).expect("everything is read")
    }

    #[test]
    fn what_is_no_amount_is_read_as_well() {
        let sound = stored(&[0, 1, 0, 1, 0, 0, 0, 0, 0, 7]);
        assert_eq!((sound.amount(), sound.to_string().as_str()), (Some(70_000), "70000"));
        let negative = stored(&[0, 1, 0, 0, 0x40, 0, 0, 0, 0, 7]);
        assert_eq!((negative.amount(), negative.to_string().as_str()), (None, "-7"));
        let nan = stored(&[0, 0, 0, 0, 0xc0, 0, 0, 0]);
        assert_eq!((nan.amount(), nan.to_string().as_str()), (None, "not an amount"));
    }

    #[test]
    fn moments_are_written_as_far_as_they_can_be() {
        let moment = |micros: i64| Moment::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes());
        let text = |micros| moment(micros).expect("a moment").to_string();
        assert_eq!(text(1), "2000-01-01T00:00:00.000001Z");
        assert_eq!(text(i64::MAX), "9223372036854775807 microseconds from 2000");
        assert_eq!(text(i64::MIN), "-9223372036854775808 microseconds from 2000");
        assert_eq!(moment(5).expect("a moment").after_seconds(i64::MAX), Moment(i64::MAX));
    }
}
