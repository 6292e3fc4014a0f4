//! What a caller chooses, and the server settings that follow from it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::error::StartError;
use crate::standby::Primary;

const MIB: u64 = 1024 * 1024;

/// These follow from [`Options`]; given as settings, they would make the accessors lie.
const RESERVED: [&str; 3] = ["data_directory", "port", "unix_socket_directories"];

/// How to start a [`Cluster`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is kept; made if it does not exist.
    pub data_dir: PathBuf,
    /// The programs to run.
    pub binaries: Binaries,
    /// The port, both of 127.0.0.1 and in the name of the Unix socket. `None`, the default, takes
    /// a free one, another at each start.
    pub port: Option<u16>,
    /// Further server settings, by name and value. They come last and override those made here:
    /// `shared_buffers`, for one, is otherwise a quarter of the memory, at most 1 GB.
    pub settings: Vec<(String, String)>,
    /// The running server that a cluster made by this start copies and follows; `None`, the default,
    /// makes one of its own.
    pub primary: Option<Primary>,
    /// Another place for the write-ahead log of a cluster made by this start: an empty directory, which
    /// is given to the server's user. `None`, the default, keeps it with the data.
    pub wal_dir: Option<PathBuf>,
    /// Further environment of the server, by name and value.
    pub environment: Vec<(String, String)>,
    /// How long to wait for the server to be ready, recovery included; 60 s by default.
    pub start_timeout: Duration,
    /// How long to wait for the server to stop in order; 30 s by default.
    pub stop_timeout: Duration,
}

impl Options {
    /// The defaults for a data directory.
    pub fn new(data_dir: impl Into<PathBuf>, binaries: Binaries) -> Options {
        Options {
            data_dir: data_dir.into(),
            binaries,
            port: None,
            settings: Vec::new(),
            primary: None,
            wal_dir: None,
            environment: Vec::new(),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// Makes the cluster, on its first start, a standby of a running one. It calls itself `name`,
    /// which is what `synchronous_standby_names` of the primary takes. The primary has to keep its
    /// port.
    pub fn standby_of(mut self, primary: &Cluster, name: &str) -> Options {
        self.primary = Some(primary.as_primary_of(name));
        self
    }

    /// All settings other than the reserved ones, in the order in which they are passed.
    pub(crate) fn all_settings(&self) -> Result<Vec<(String, String)>, StartError> {
        for (name, _) in &self.settings {
            // As the server reads names on its command line.
            let canonical = name.trim().to_ascii_lowercase().replace('-', "_");
            if RESERVED.contains(&canonical.as_str()) {
                return Err(StartError::ReservedSetting(name.clone()));
            }
        }
        let shared_buffers = format!("{}MB", shared_buffers_mib());
        let defaults = [
            // On the command line, where no configuration file overrides them.
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("listen_addresses", "127.0.0.1"),
            ("max_connections", "100"),
            ("shared_buffers", &shared_buffers),
            ("max_wal_size", "4GB"),
            ("checkpoint_timeout", "15min"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m [%p] "),
        ];
        let defaults = defaults.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(defaults.into_iter().chain(self.settings.iter().cloned()).collect())
    }
}

fn shared_buffers_mib() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = total_memory(&meminfo).unwrap_or(512 * MIB);
    (memory / 4 / MIB).clamp(16, 1024)
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The arguments of `postgres`.
pub(crate) fn arguments(
    pgdata: &Path,
    socket_dir: &Path,
    port: u16,
    settings: &[(String, String)],
) -> Vec<OsString> {
    let mut arguments = vec!["-D".into(), pgdata.into()];
    let mut set = |name: &str, value: &OsStr| {
        let mut setting = OsString::from(name);
        setting.push("=");
        setting.push(value);
        arguments.extend(["-c".into(), setting]);
    };
    for (name, value) in settings {
        set(name, value.as_ref());
    }
    set("port", port.to_string().as_ref());
    set("unix_socket_directories", socket_dir.as_ref());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_memory() {
        assert_eq!(total_memory("MemTotal:  2048 kB\nMemFree: 1 kB\n"), Some(2 * MIB));
        assert_eq!(total_memory(""), None);
    }
}
