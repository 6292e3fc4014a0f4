use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole microseconds as PostgreSQL keeps them; RFC 3339 in UTC (`…Z`) in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub(crate) SystemTime);

const EXPECTED: &str = "must be a moment in UTC such as 2026-11-22T10:00:00.000001Z, from 1970 on";

impl Timestamp {
    /// The nearest moment that RFC 3339 as humantime writes it has room for: from 1970 to 9999. There can
    /// be others in tables: an older function took imports of any time, and clocks are set by people. Such a
    /// row is as durable as any.
    fn shown(self) -> SystemTime {
        const END: Duration = Duration::from_micros(253_402_300_799_999_999);
        self.0.clamp(UNIX_EPOCH, UNIX_EPOCH + END)
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    /// Digits beyond the microsecond are dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = humantime::parse_rfc3339(text).map_err(|_| EXPECTED)?;
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| EXPECTED)?;
        let micros = since - Duration::from_nanos(u64::from(since.subsec_nanos() % 1000));
        Ok(Self(UNIX_EPOCH + micros))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_micros(self.shown()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_kept_to_the_microsecond() {
        for (text, written) in [
            ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000000Z"),
            ("2026-11-22T10:00:00.1234567Z", "2026-11-22T10:00:00.123456Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        ] {
            let timestamp: Timestamp = text.parse().unwrap();
            assert_eq!(serde_json::to_value(timestamp).unwrap(), written);
        }
        for text in ["", "now", "2026-11-22", "2026-11-22T10:00:00", "1969-12-31T23:59:59Z", "1"] {
            assert_eq!(text.parse::<Timestamp>(), Err(EXPECTED), "{text}");
        }
    }

    #[test]
    fn what_json_has_no_way_to_write_is_shown_as_the_nearest_that_it_has() {
        let (first, last) = ("1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z");
        let micro = Duration::from_micros(1);
        let end = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        let years = Duration::from_micros(i64::MAX as u64);
        for (moment, shown) in [
            (UNIX_EPOCH, first),
            (UNIX_EPOCH - micro, first),
            (UNIX_EPOCH - years, first),
            (end - micro, last),
            (end, last),
            (UNIX_EPOCH + years, last),
        ] {
            assert_eq!(serde_json::to_value(Timestamp(moment)).unwrap(), shown, "{moment:?}");
        }
    }
}
