//! A private PostgreSQL for development, tests and benchmarks.
//!
//! [`Binaries::find`] looks for an installed PostgreSQL, and [`Cluster::start`] runs it as a child
//! process on a data directory of its own, which it creates on the first start. Everything blocks
//! the calling thread; nothing here needs an async runtime.
//!
//! ```no_run
//! use giro_embedded::{Binaries, Cluster, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let binaries = Binaries::find(None)?;
//! let cluster = Cluster::start(Options::new("giro-data", binaries))?;
//! println!("{}", cluster.url("postgres", "postgres"));
//! cluster.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! # The data directory
//!
//! | entry          | what it holds                                                        |
//! |----------------|----------------------------------------------------------------------|
//! | `pg/`          | the database cluster (PGDATA)                                        |
//! | `pg.new-*/`    | a cluster being made; renamed to `pg/` when whole, else thrown away  |
//! | `socket/`      | the Unix socket; only the server's user may enter                    |
//! | `postgres.log` | what the server and `initdb` say; appended to                        |
//! | `password`     | the password of the superuser `postgres`, for TCP connections        |
//! | `lock`         | locked, with our process id, for as long as a [`Cluster`] lives      |
//!
//! The path of a Unix socket has at most 107 bytes, and clients cannot write a comma in it. Where
//! the data directory lies too deep or has a comma in its path, the socket is put in a fresh
//! private directory under `/tmp` instead.
//!
//! # Users
//!
//! PostgreSQL refuses to run as root. Started by root, it is run as the owner of an existing data
//! directory, or else as the user `postgres`, or else as `nobody`. A new or empty data directory
//! is given to that user, who must be able to enter every directory above it: as root, use the
//! path of a fresh private temporary directory itself, not of a directory within it.
//!
//! # The life of the server
//!
//! The server lives in a process group of its own, so a Ctrl-C on the terminal reaches only the
//! program that started it. That program stops the server in order by [`Cluster::stop`] or by
//! dropping the [`Cluster`]; if it dies, the kernel tells the server to shut down. A server that a
//! dead program left behind all the same is stopped by the next start on its data directory.
//!
//! # The modules
//!
//! They follow the path of a start: `binaries` finds the programs in `places`, `options` makes the settings,
//! `privileges` picks the user, `data_dir` lays out and locks the directory, `postmaster` ends
//! what an earlier run left, `initdb` makes the cluster, or `standby` as a copy of another,
//! `server` runs the child process, and `cluster` puts them together. `process`, `parent_death` and `log` are the system's side of it.

mod binaries;
mod cluster;
mod data_dir;
mod error;
mod initdb;
mod log;
mod options;
mod parent_death;
mod places;
mod postmaster;
mod privileges;
mod process;
mod server;
mod standby;

pub use binaries::{Binaries, BinariesNotFound, OLDEST_MAJOR, Rejected, Version};
pub use cluster::Cluster;
pub use error::{StartError, StopError};
pub use options::Options;
pub use standby::Primary;
