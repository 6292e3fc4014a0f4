//! Standbys: a copy of a running server that follows it, until it is promoted.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::binaries::Binaries;
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::initdb::wal_dir_arguments;
use crate::server;

/// A running server that a new cluster is made from and then follows.
#[derive(Clone)]
pub struct Primary {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    /// Of the superuser, who is the same on both.
    pub(crate) password: String,
    /// What the standby calls itself, for `synchronous_standby_names`.
    pub(crate) standby_name: String,
}

// Without the password.
impl fmt::Debug for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Primary")
            .field("socket_dir", &self.socket_dir)
            .field("port", &self.port)
            .field("standby_name", &self.standby_name)
            .finish_non_exhaustive()
    }
}

impl Primary {
    /// A libpq string; as PostgreSQL wants it, with quotes and backslashes escaped.
    fn conninfo(&self) -> String {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
        format!(
            "host='{}' port={} user=postgres application_name='{}'",
            quote(&self.socket_dir.display().to_string()),
            self.port,
            quote(&self.standby_name),
        )
    }
}

/// Copies a running server to `target`, which then follows it when it is started. The copy is made durable
/// at once, and not file by file: there are a thousand.
pub(crate) fn base_backup(
    data_dir: &DataDir,
    binaries: &Binaries,
    primary: &Primary,
    target: &Path,
    wal_dir: Option<&Path>,
) -> Result<(), StartError> {
    let arguments: [OsString; 9] = [
        "--no-sync".into(),
        "--write-recovery-conf".into(),
        "--wal-method=stream".into(),
        "--checkpoint=fast".into(),
        "--no-password".into(),
        "--dbname".into(),
        primary.conninfo().into(),
        "--pgdata".into(),
        target.into(),
    ];
    let arguments = [&arguments[..], &wal_dir_arguments(wal_dir)].concat();
    server::run_to_end("pg_basebackup", &arguments, data_dir, binaries)?;
    for dir in [target].into_iter().chain(wal_dir) {
        let sync = File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
        sync.map_err(StartError::io("sync", dir))?;
    }
    Ok(())
}

/// Ends recovery, and waits until the server takes writes.
pub(crate) fn promote(data_dir: &DataDir, binaries: &Binaries) -> Result<(), StartError> {
    let arguments =
        ["promote".into(), "--wait".into(), "--pgdata".into(), data_dir.pgdata().into()];
    server::run_to_end("pg_ctl", &arguments, data_dir, binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_string_is_quoted() {
        let primary = Primary {
            socket_dir: "/a 'dir\\".into(),
            port: 5433,
            password: "secret".into(),
            standby_name: "one".into(),
        };
        let expected = r"host='/a \'dir\\' port=5433 user=postgres application_name='one'";
        assert_eq!(primary.conninfo(), expected);
        assert!(!format!("{primary:?}").contains("secret"));
    }
}
