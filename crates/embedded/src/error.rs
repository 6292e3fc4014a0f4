//! What can go wrong, said so that a person can act on it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::binaries::Version;

/// Why PostgreSQL did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another [`Cluster`](crate::Cluster) holds the data directory.
    #[error(
        "PostgreSQL in `{}` is already run by {}, or use another data directory",
        .data_dir.display(),
        holder(.pid)
    )]
    AlreadyRunning {
        /// The data directory.
        data_dir: PathBuf,
        /// The process that holds it, unless that has not yet said.
        pid: Option<u32>,
    },
    /// A server that a dead program left behind does not end.
    #[error(
        "PostgreSQL (process {pid}) was left running in `{}` and does not stop; \
         end it with `kill -QUIT {pid}`, then start again",
        .data_dir.display()
    )]
    LeftRunning {
        /// The data directory.
        data_dir: PathBuf,
        /// The server's process.
        pid: u32,
    },
    /// Processes of a server that was killed still work on the data.
    #[error(
        "processes of a killed PostgreSQL (it was process {pid}) still use the data in `{}`; \
         find them with `ps -C postgres -f`, end them, then start again",
        .data_dir.display()
    )]
    DataInUse {
        /// The data directory.
        data_dir: PathBuf,
        /// The process that the killed server had.
        pid: u32,
    },
    /// The server's user cannot reach a file that it needs.
    #[error(
        "PostgreSQL does not run as root, and the user `{user}` that runs it cannot enter `{}`, \
         which leads to `{}`; use a path elsewhere, or allow it with `chmod o+x {}`",
        .dir.display(), .target.display(), .dir.display()
    )]
    NotTraversable {
        /// The user that the server would run as.
        user: String,
        /// The directory that this user cannot enter.
        dir: PathBuf,
        /// What the user has to reach.
        target: PathBuf,
    },
    /// The data belongs to root.
    #[error(
        "PostgreSQL does not run as root, but its files in `{}` belong to root; \
         give them to another user, as with `chown -R postgres '{}'`",
        .data_dir.display(), .data_dir.display()
    )]
    OwnedByRoot {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// There is no user to run the server as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`; \
         start as another user"
    )]
    NoUser,
    /// The data was made by another major version.
    #[error(
        "the data in `{}` was made by PostgreSQL {found}, but the programs are of version \
         {binaries}; name the directory of the programs of version {found} in GIRO_POSTGRES_BIN, \
         or use another data directory",
        .data_dir.display()
    )]
    VersionMismatch {
        /// The data directory.
        data_dir: PathBuf,
        /// The major version that made the data.
        found: String,
        /// The version of the programs.
        binaries: Version,
    },
    /// The caller's settings hold one that is decided here.
    #[error("the server setting `{0}` cannot be given; it follows from the other options")]
    ReservedSetting(String),
    /// One of PostgreSQL's programs failed, such as `initdb`.
    #[error("{name} failed with {status}; it said (in `{}`):\n{tail}", .log.display())]
    Program {
        /// Its name.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server ended before it was ready.
    #[error(
        "PostgreSQL ended with {status} before it was ready; the last lines of `{}`:\n{tail}",
        .log.display()
    )]
    Exited {
        /// How the server ended.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The server was not ready in time, and was stopped.
    #[error(
        "PostgreSQL was not ready within {} s; the last lines of `{}`:\n{tail}",
        .waited.as_secs_f32(), .log.display()
    )]
    TimedOut {
        /// How long it was given.
        waited: Duration,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The system refused something.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or program.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl StartError {
    /// For `map_err`: says what was being done when the system refused.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
        let path = path.to_owned();
        move |source| StartError::Io { action, path, source }
    }
}

fn holder(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}; stop that, as with `kill -INT {pid}`"),
        None => "another process; stop that".to_owned(),
    }
}

/// Why PostgreSQL did not stop in order. It does not run any more, unless this is
/// [`StopError::Io`]; the next start recovers what was committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The server failed while stopping, or had already ended.
    #[error("PostgreSQL ended with {status}; see `{}`", .log.display())]
    Exited {
        /// How the server ended.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
    },
    /// The server did not stop in time, and was made to.
    #[error(
        "PostgreSQL did not stop within {} s and was ended with {signal}; see `{}`",
        .waited.as_secs_f32(), .log.display()
    )]
    Forced {
        /// How long it was given to stop in order.
        waited: Duration,
        /// The signal that ended it.
        signal: &'static str,
        /// The log file.
        log: PathBuf,
    },
    /// The system refused to signal the server or to wait for it.
    #[error("cannot stop PostgreSQL (process {pid}): {source}")]
    Io {
        /// The server's process.
        pid: u32,
        /// What the system answered.
        source: io::Error,
    },
}
