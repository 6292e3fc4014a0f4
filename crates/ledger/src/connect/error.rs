//! Why there is no session. Nothing here says a password, a certificate's key or SQL.

use super::lineage::Lineage;
use super::peer::Durability;
use crate::describe::describe;
use crate::schema::SchemaError;
use std::path::PathBuf;
use std::time::Duration;

/// A URL that cannot be used. Reads on after "the URL".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a connection string.
    #[error("is not a PostgreSQL URL (postgresql://user@host:port/database): {0}")]
    Malformed(&'static str),
    /// It can be read in two ways.
    #[error("has a raw @ or / in its password: percent-encode them (%40, %2F)")]
    Ambiguous,
    /// libpq knows the parameter, Giro does not.
    #[error("has the parameter `{0}`, which is not supported")]
    Unsupported(String),
    /// Nobody knows it.
    #[error("has an unknown parameter{0}")]
    Unknown(String),
    /// A value that its parameter cannot have.
    #[error("has a value of `{name}` that is not {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What its values are.
        expected: &'static str,
    },
    /// What has no default.
    #[error("does not say the {0}")]
    Missing(&'static str),
    /// Two parameters that cannot both hold.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A file that it names, or that is looked for by default.
    #[error("needs the file `{}` ({name}): {why}", .path.display())]
    File {
        /// The parameter.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such service.
    #[error("names a service that is in none of: {0}")]
    Service(String),
}

/// Why there is no session. Says neither password nor SQL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answered in time.
    #[error("no session within {0:?}")]
    Timeout(Duration),
    /// PostgreSQL or the network refused.
    #[error("{}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// A name without an address.
    #[error("no address for the host name: {0}")]
    Name(std::io::Error),
    /// The server does not offer TLS, and nothing is sent without.
    #[error(
        "the server does not offer TLS, and without it nothing is sent to another machine; \
         sslmode=disable allows that"
    )]
    NoTls,
    /// Nothing shows that the server is the right one, so it did not get the password.
    #[error(
        "the server did not prove that it knows the password (channel binding), and sslmode=require \
         checks no certificate: use sslmode=verify-full, or allow it with channel_binding=prefer"
    )]
    Unproven,
    /// No TLS session that can be trusted came about.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The password file cannot be used now.
    #[error("the URL {0}")]
    Password(UrlError),
    /// It is a standby.
    #[error("the database is in recovery: it is a standby and takes no writes")]
    InRecovery,
    /// It takes no writes.
    #[error("the database is read only (default_transaction_read_only = on)")]
    ReadOnly,
    /// It takes writes, and was not asked for.
    #[error("the database takes writes, and target_session_attrs asks for one that does not")]
    NotStandby,
    /// The URL wants a standby where only a primary will do.
    #[error("target_session_attrs asks for a standby, which takes no writes")]
    StandbyAsked,
    /// A primary that another one has replaced.
    #[error(
        "the database is on {found}, and {expected} has been seen: it was replaced by a promoted \
         standby and must not take writes"
    )]
    LowerTimeline {
        /// The lineage of this host.
        found: Lineage,
        /// The highest that has been seen.
        expected: Lineage,
    },
    /// It did not commit an empty batch.
    #[error("the database does not commit an empty batch: {0}")]
    Probe(&'static str),
    /// Nothing can be acknowledged, and each attempt would leave one more session behind.
    #[error("{sessions} sessions already wait for a synchronous standby")]
    StandbyWait {
        /// How many.
        sessions: i64,
    },
    /// Neither an answer nor `statement_timeout` has ended them: the disk stands still, say.
    #[error(
        "{sessions} sessions already hang in a statement for longer than statement_timeout allows"
    )]
    SessionsHang {
        /// How many.
        sessions: i64,
    },
    /// It loses what it acknowledges.
    #[error(
        "the database would lose what it acknowledges: fsync = {}, synchronous_commit = {}, \
         full_page_writes = {}",
        .0.fsync, .0.synchronous_commit, .0.full_page_writes
    )]
    NotDurable(Durability),
    /// Something on the way drops the settings that bound every statement.
    #[error(
        "the session has {name} = {found} ms instead of {expected} ms: something between Giro and \
         PostgreSQL, such as a pooler, drops session settings"
    )]
    Settings {
        /// The setting.
        name: &'static str,
        /// As the session has it, in milliseconds.
        found: i64,
        /// As it was asked for, in milliseconds.
        expected: i64,
    },
    /// It cannot hold every text.
    #[error(
        "the database's encoding is {0}: UTF8 is required, or one text could fail a whole batch"
    )]
    NotUtf8(String),
    /// Not the schema that this program serves.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// None of several hosts will do: each with why.
    #[error("{}", list(.0))]
    Hosts(Vec<(String, ConnectError)>),
}

impl ConnectError {
    /// Whether waiting can help: the database may be starting, restarting, full or unreachable, or
    /// its standby may be promoted.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Timeout(_)
            | Self::Name(_)
            | Self::Password(_)
            | Self::InRecovery
            | Self::ReadOnly
            | Self::NotStandby
            | Self::LowerTimeline { .. }
            | Self::StandbyWait { .. }
            | Self::SessionsHang { .. }
            | Self::Probe(_) => true,
            Self::Postgres(error) => match error.code() {
                None => error.is_closed() || source_is_io(error),
                // Class 53: out of connections or memory; 57P: starting or stopping.
                Some(code) => code.code().starts_with("53") || code.code().starts_with("57P"),
            },
            Self::Hosts(hosts) => hosts.iter().any(|(_, error)| error.may_pass()),
            Self::NoTls
            | Self::Unproven
            | Self::Tls(_)
            | Self::StandbyAsked
            | Self::NotDurable(_)
            | Self::Settings { .. }
            | Self::NotUtf8(_)
            | Self::Schema(_) => false,
        }
    }

    /// SQLSTATE or cause in a word, for metrics: of several hosts, each.
    pub(crate) fn causes(&self) -> Vec<&str> {
        let cause = match self {
            Self::Timeout(_) => "timeout",
            Self::Postgres(error) => error.code().map_or("network", |code| code.code()),
            Self::Name(_) => "dns",
            Self::NoTls | Self::Unproven | Self::Tls(_) => "tls",
            Self::Password(_) => "passfile",
            Self::InRecovery => "in_recovery",
            Self::ReadOnly => "read_only",
            Self::NotStandby | Self::StandbyAsked => "target_session_attrs",
            Self::LowerTimeline { .. } => "lower_timeline",
            Self::StandbyWait { .. } => "standby_wait",
            Self::SessionsHang { .. } => "sessions_hang",
            Self::Probe(_) => "probe",
            Self::NotDurable(_) => "not_durable",
            Self::Settings { .. } => "settings",
            Self::NotUtf8(_) => "not_utf8",
            Self::Schema(_) => "schema",
            Self::Hosts(hosts) => {
                return hosts.iter().flat_map(|(_, error)| error.causes()).collect();
            }
        };
        vec![cause]
    }
}

/// The network, and not what the URL says or lacks.
fn source_is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

fn list(hosts: &[(String, ConnectError)]) -> String {
    let each: Vec<_> = hosts.iter().map(|(host, error)| format!("{host}: {error}")).collect();
    each.join("; ")
}
