//! The settings of PostgreSQL that decide what a figure means.

use std::fmt;

use serde::Serialize;
use tokio_postgres::Row;

use crate::BenchError;
use crate::database::failed;

pub(super) const SETTINGS: &str = "SELECT current_setting('server_version'), current_setting('fsync'), \
    current_setting('synchronous_commit'), current_setting('full_page_writes'), \
    current_setting('wal_compression'), current_setting('shared_buffers')";

/// The settings of PostgreSQL that a figure means nothing without, as a session opened with the
/// run's connection string sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// `server_version`.
    pub server_version: String,
    /// `fsync`.
    pub fsync: String,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// `full_page_writes`.
    pub full_page_writes: String,
    /// `wal_compression`.
    pub wal_compression: String,
    /// `shared_buffers`.
    pub shared_buffers: String,
}

impl Settings {
    /// The settings that are off although an acknowledged transfer could then be lost in a crash.
    #[must_use]
    pub fn not_durable(&self) -> Vec<&'static str> {
        let guards = self.guards().into_iter();
        guards.filter(|(_, value)| *value == "off").map(|(name, _)| name).collect()
    }

    fn guards(&self) -> [(&'static str, &str); 3] {
        [
            ("fsync", &self.fsync),
            ("synchronous_commit", &self.synchronous_commit),
            ("full_page_writes", &self.full_page_writes),
        ]
    }

    pub(super) fn from_row(row: &Row) -> Result<Self, BenchError> {
        let text = |column| row.try_get(column).map_err(failed("read its settings"));
        let settings = Self {
            server_version: text(0)?,
            fsync: text(1)?,
            synchronous_commit: text(2)?,
            full_page_writes: text(3)?,
            wal_compression: text(4)?,
            shared_buffers: text(5)?,
        };
        for (name, value) in settings.guards() {
            if !["on", "off", "local", "remote_write", "remote_apply"].contains(&value) {
                return Err(BenchError::UnknownDurability { name, value: value.to_owned() });
            }
        }
        Ok(settings)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fsync={} synchronous_commit={} full_page_writes={} wal_compression={} \
             shared_buffers={}",
            self.fsync,
            self.synchronous_commit,
            self.full_page_writes,
            self.wal_compression,
            self.shared_buffers
        )
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durability_is_lost_when_one_setting_is_off() {
        let mut settings = crate::report::tests::settings();
        assert!(settings.not_durable().is_empty());
        settings.synchronous_commit = "off".into();
        assert_eq!(settings.not_durable(), ["synchronous_commit"]);
    }
}
