//! Every setting: its key, its default, and how it relates to its neighbours.
//!
//! `config/giro.toml` says the same for people; a test holds the two equal.

use bytesize::ByteSize;
use giro_ledger::{Connector, Transfer};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

mod load;
mod units;

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
    /// Body of one transfer or account, at most.
    pub max_body_bytes: ByteSize,
    /// Body of an array of them, at most.
    pub max_bulk_body_bytes: ByteSize,
    /// A caller's deadline when it names none.
    pub request_timeout: Span,
    /// The longest deadline that a caller may name.
    pub max_request_timeout: Span,
    /// How long a stop may take.
    pub drain_timeout: Span,
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
    pub max_bytes: ByteSize,
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

/// PostgreSQL's time-outs are whole milliseconds.
const SHORTEST: Span = Span(Duration::from_millis(1));
const LONGEST: Span = Span::from_secs(3600);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(LOOPBACK, 8080),
            max_connections: 4096,
            idle_timeout: Span::from_secs(60),
            header_timeout: Span::from_secs(5),
            body_timeout: Span::from_secs(5),
            max_body_bytes: ByteSize::kib(64),
            max_bulk_body_bytes: ByteSize::mib(1),
            request_timeout: Span::from_secs(2),
            max_request_timeout: Span::from_secs(30),
            drain_timeout: Span::from_secs(10),
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
        Self { max_items: 10_000, max_bytes: ByteSize::mib(16), max_wait: Span::from_secs(1) }
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
    /// Refuses values that no server could run with, and limits that contradict each other; each
    /// message has both numbers. An empty list is a usable configuration.
    pub fn check(&self) -> Vec<String> {
        let Self { server, admin, database, queue, batch, log } = self;
        let mut wrong = Vec::new();
        let mut refuse = |broken: bool, message: String| {
            if broken {
                wrong.push(message);
            }
        };
        if let Err(error) = self.limits().check() {
            refuse(true, error.to_string());
        }
        let positive = [
            ("server.max_connections", server.max_connections),
            ("database.lanes", database.lanes),
            ("database.read_sessions", database.read_sessions as usize),
        ];
        for (key, value) in positive {
            refuse(value == 0, format!("{key} must not be 0"));
        }
        for (key, value, may_be_zero) in [
            ("server.idle_timeout", server.idle_timeout, false),
            ("server.header_timeout", server.header_timeout, false),
            ("server.body_timeout", server.body_timeout, false),
            ("server.request_timeout", server.request_timeout, false),
            ("server.max_request_timeout", server.max_request_timeout, false),
            ("server.drain_timeout", server.drain_timeout, false),
            ("database.connect_timeout", database.connect_timeout, false),
            ("database.statement_timeout", database.statement_timeout, false),
            ("database.lock_timeout", database.lock_timeout, false),
            ("queue.max_wait", queue.max_wait, false),
            ("batch.max_wait", batch.max_wait, true),
        ] {
            let low = !may_be_zero && value < SHORTEST;
            refuse(low, format!("{key} ({value}) is below {SHORTEST}"));
            refuse(value > LONGEST, format!("{key} ({value}) is above {LONGEST}"));
        }
        for (key, value) in
            [("batch.in_flight", batch.in_flight), ("database.lanes", database.lanes)]
        {
            refuse(value > 64, format!("{key} ({value}) is above 64"));
        }
        refuse(
            server.listen.port() != 0 && server.listen == admin.listen,
            format!("server.listen and admin.listen are both {}", admin.listen),
        );
        refuse(
            batch.max_items > 65_535,
            format!(
                "batch.max_items ({}) is above 65535, which a seq has room for",
                batch.max_items
            ),
        );
        let pairs = [
            (
                "server.request_timeout",
                server.request_timeout,
                "server.max_request_timeout",
                server.max_request_timeout,
                "a caller that names no deadline would exceed the longest",
            ),
            (
                "batch.max_wait",
                batch.max_wait,
                "server.request_timeout",
                server.request_timeout,
                "callers would give up before their batch is sent",
            ),
            (
                "database.lock_timeout",
                database.lock_timeout,
                "database.statement_timeout",
                database.statement_timeout,
                "a wait for a lock could never time out by itself",
            ),
            (
                "database.statement_timeout",
                database.statement_timeout,
                "server.drain_timeout",
                server.drain_timeout,
                "a stop would not await a batch in flight",
            ),
        ];
        for (low_key, low, high_key, high, why) in pairs {
            refuse(low > high, format!("{low_key} ({low}) is above {high_key} ({high}): {why}"));
        }
        refuse(
            batch.max_bytes.as_u64() < Transfer::BYTES_MAX as u64,
            format!(
                "batch.max_bytes ({}) is below {} bytes, what one transfer can take",
                batch.max_bytes,
                Transfer::BYTES_MAX
            ),
        );
        refuse(
            queue.max_bytes < server.max_bulk_body_bytes,
            format!(
                "queue.max_bytes ({}) is below server.max_bulk_body_bytes ({}): such a body could never \
                 be read",
                queue.max_bytes, server.max_bulk_body_bytes
            ),
        );
        refuse(
            server.max_bulk_body_bytes < server.max_body_bytes,
            format!(
                "server.max_bulk_body_bytes ({}) is below server.max_body_bytes ({}): an array \
                 could hold less than one transfer",
                server.max_bulk_body_bytes, server.max_body_bytes
            ),
        );
        if let Err(error) = log.filter.parse::<tracing_subscriber::EnvFilter>() {
            refuse(true, format!("log.filter ({}) cannot be read: {error}", log.filter));
        }
        if let Some(url) = &database.url
            && let Err(error) = self.connector(url)
        {
            refuse(true, format!("database.url {error}"));
        }
        wrong
    }

    /// The batcher's bounds.
    pub fn limits(&self) -> giro_batcher::Limits {
        giro_batcher::Limits {
            queue_items: self.queue.max_items,
            queue_bytes: self.queue.max_bytes.as_u64() as usize,
            queue_wait: self.queue.max_wait.0,
            batch_items: self.batch.max_items,
            batch_bytes: self.batch.max_bytes.as_u64() as usize,
            batch_wait: self.batch.max_wait.0,
            in_flight: self.batch.in_flight,
        }
    }

    /// A way to the database, with its time-outs.
    pub fn connector(&self, url: &DatabaseUrl) -> Result<Connector, giro_ledger::UrlError> {
        let Database { connect_timeout, statement_timeout, lock_timeout, .. } = &self.database;
        Connector::new(url.reveal(), connect_timeout.0, statement_timeout.0, lock_timeout.0)
    }

    /// How long a batch may go without an answer: every batch in flight before it may take its whole
    /// statement time-out, and a second for the network.
    pub fn watchdog(&self) -> Duration {
        let in_flight = u32::try_from(self.batch.in_flight).unwrap_or(u32::MAX);
        self.database.statement_timeout.0 * in_flight + Duration::from_secs(1)
    }
}
