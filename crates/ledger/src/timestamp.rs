use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole microseconds as PostgreSQL keeps them; RFC 3339 in UTC (`…Z`) in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub(crate) SystemTime);

const EXPECTED: &str = "must be a moment in UTC such as 2026-11-22T10:00:00.000001Z, from 1970 on";

impl Timestamp {
    /// Whether RFC 3339 as humantime writes it has room for a moment: from 1970 to 9999.
    pub(crate) fn is_shown(moment: &SystemTime) -> bool {
        const END: u64 = 253_402_300_800;
        moment.duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_secs() < END)
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
        serializer.collect_str(&humantime::format_rfc3339_micros(self.0))
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
    fn what_json_has_no_way_to_write_is_not_shown() {
        let second = Duration::from_secs(1);
        let end = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        for (moment, shown) in
            [(UNIX_EPOCH, true), (UNIX_EPOCH - second, false), (end, true), (end + second, false)]
        {
            assert_eq!(Timestamp::is_shown(&moment), shown, "{moment:?}");
            if shown {
                humantime::format_rfc3339_micros(moment).to_string();
            }
        }
    }
}
