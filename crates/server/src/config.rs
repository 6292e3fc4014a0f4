//! Every setting: its key, its default, and how it relates to its neighbours.
//!
//! `config/giro.toml` says the same for people; a test holds the two equal.

use bytesize::ByteSize;
use giro_ledger::Connector;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

mod check;
mod load;
mod units;

#[cfg(fuzzing)]
pub use load::load_text;
pub use load::{ConfigError, Overrides, load};
pub use units::{DatabaseUrl, Span};

/// All settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The API listener.
    pub server: Server,
    /// The listener for operators.
    pub admin: Admin,
    /// PostgreSQL.
    pub database: Database,
    /// What may wait.
    pub queue: Queue,
    /// What leaves together.
    pub batch: Batch,
    /// What is said.
    pub log: Log,
}

/// `server.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Connections at a time; more wait to be accepted.
    pub max_connections: usize,
    /// A connection with nothing under way is closed after this long.
    pub idle_timeout: Span,
    /// A request's header must be complete this long after its first byte.
    pub header_timeout: Span,
    /// A request's body must be complete this long after its header.
    pub body_timeout: Span,
    /// A reply must be taken this long after it is ready.
    pub write_timeout: Span,
    /// Body of one transfer or account, at most.
    #[serde(serialize_with = "units::exactly")]
    pub max_body_bytes: ByteSize,
    /// Body of an array of them, at most.
    #[serde(serialize_with = "units::exactly")]
    pub max_bulk_body_bytes: ByteSize,
    /// A caller's deadline when it names none.
    pub request_timeout: Span,
    /// The longest deadline that a caller may name.
    pub max_request_timeout: Span,
    /// How long a stop may take.
    pub drain_timeout: Span,
    /// Header that names the client, where a proxy sets it; else a client is a peer address.
    pub client_header: Option<String>,
}

/// `admin.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Admin {
    /// Address of `/metrics`, `/livez` and `/readyz`.
    pub listen: SocketAddr,
}

/// `database.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// Where the ledger is, and as whom; required.
    pub url: Option<DatabaseUrl>,
    /// Sessions that apply batches of transfers.
    pub lanes: usize,
    /// Sessions that read, at most.
    pub read_sessions: u32,
    /// From the first packet to a session that was checked.
    pub connect_timeout: Span,
    /// A statement is ended by PostgreSQL after this long.
    pub statement_timeout: Span,
    /// A wait for a lock is ended by PostgreSQL after this long.
    pub lock_timeout: Span,
}

/// `queue.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queue {
    /// Items that may wait; more are refused.
    pub max_items: usize,
    /// Bytes that may wait; more are refused.
    #[serde(serialize_with = "units::exactly")]
    pub max_bytes: ByteSize,
    /// The longest wait, as predicted, with which a request is still admitted.
    pub target_wait: Span,
    /// How long a request may wait.
    pub max_wait: Span,
}

/// `batch.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Items in a batch, and in an array that a caller sends.
    pub max_items: usize,
    /// Bytes in a batch.
    #[serde(serialize_with = "units::exactly")]
    pub max_bytes: ByteSize,
    /// How long a batch waits for company.
    pub max_wait: Span,
    /// Batches in flight on a lane.
    pub in_flight: usize,
}

/// `log.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// What to log, as tracing-subscriber's EnvFilter reads it.
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `text` in a terminal, else `json`.
    Auto,
    /// One line for a person.
    Text,
    /// One object a line.
    Json,
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(LOOPBACK, 8080),
            max_connections: 4096,
            idle_timeout: Span::from_secs(60),
            header_timeout: Span::from_secs(5),
            body_timeout: Span::from_secs(5),
            write_timeout: Span::from_secs(10),
            max_body_bytes: ByteSize::kib(64),
            max_bulk_body_bytes: ByteSize::mib(1),
            request_timeout: Span::from_secs(2),
            max_request_timeout: Span::from_secs(30),
            drain_timeout: Span::from_secs(10),
            client_header: None,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::new(LOOPBACK, 9464) }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            lanes: 1,
            read_sessions: 4,
            connect_timeout: Span::from_secs(2),
            statement_timeout: Span::from_secs(2),
            lock_timeout: Span::from_secs(1),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            max_items: 10_000,
            max_bytes: ByteSize::mib(16),
            target_wait: Span(Duration::from_millis(100)),
            max_wait: Span::from_secs(1),
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_items: 1000,
            max_bytes: ByteSize::mib(1),
            max_wait: Span::from_secs(0),
            in_flight: 2,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info".into() }
    }
}

impl Config {
    /// The batcher's bounds.
    pub fn limits(&self) -> giro_batcher::Limits {
        giro_batcher::Limits {
            queue_items: self.queue.max_items,
            queue_bytes: self.queue.max_bytes.as_u64() as usize,
            target_wait: self.queue.target_wait.0,
            queue_wait: self.queue.max_wait.0,
            batch_items: self.batch.max_items,
            batch_bytes: self.batch.max_bytes.as_u64() as usize,
            batch_wait: self.batch.max_wait.0,
            in_flight: self.batch.in_flight,
            watchdog: self.watchdog(),
        }
    }

    /// A way to the database, with its time-outs.
    pub fn connector(&self, url: &DatabaseUrl) -> Result<Connector, giro_ledger::UrlError> {
        let Database { connect_timeout, statement_timeout, lock_timeout, .. } = &self.database;
        Connector::new(url.reveal(), connect_timeout.0, statement_timeout.0, lock_timeout.0)
    }

    /// How long a session may work on one batch without an answer: PostgreSQL ends the statement itself
    /// before, and a second is for its commit and the network.
    pub fn watchdog(&self) -> Duration {
        self.database.statement_timeout.0 + Duration::from_secs(1)
    }
}
