//! What a connection string means: libpq's parameters, with its defaults where they are safe.

use super::error::UrlError;
use super::files::{Passfile, Places};
use super::said::Said;
use super::tls::{SslMode, TlsParameters};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts};

/// Where sockets usually are: of Debian's packages, and of PostgreSQL itself.
pub(super) const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Everything that a connection string says.
pub(super) struct Target {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Password,
    pub(super) tls: TlsParameters,
    pub(super) attrs: SessionAttrs,
    /// `channel_binding`, where it is said.
    pub(super) channel_binding: Option<ChannelBinding>,
    /// `connect_timeout`: for one address.
    pub(super) per_address: Option<Duration>,
    /// `load_balance_hosts=random`.
    pub(super) shuffle: bool,
    /// `options` and what TCP is told; no host, no user.
    pub(super) config: Config,
}

/// One of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The directory of a Unix socket.
    Unix(PathBuf),
    /// A name, which a certificate is held against, and maybe where it is.
    Tcp { name: String, address: Option<IpAddr> },
}

/// Where the password comes from.
#[derive(Clone)]
pub(super) enum Password {
    None,
    Given(String),
    File(Passfile),
}

/// `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionAttrs {
    Any,
    /// `read-write` and `primary`: not in recovery, and writable.
    Writable,
    /// `read-only` and `standby`.
    Standby,
    PreferStandby,
}

impl Target {
    pub(super) fn new(url: &str) -> Result<Self, UrlError> {
        Self::with(url, &Places::of_environment())
    }

    pub(super) fn with(url: &str, places: &Places) -> Result<Self, UrlError> {
        let said = Said::new(url, places)?;
        let user = match said.get("user") {
            Some(user) => user.to_owned(),
            None => std::env::var("USER").map_err(|_| UrlError::Missing("user"))?,
        };
        let database = said.get("dbname").unwrap_or(&user).to_owned();
        let password = match said.get("password") {
            Some(password) => Password::Given(password.to_owned()),
            None => {
                Passfile::find(said.get("passfile"), places)?.map_or(Password::None, Password::File)
            }
        };
        Ok(Self {
            hosts: said.hosts()?,
            tls: TlsParameters {
                mode: said.one_of("sslmode", &SslMode::NAMES)?,
                root: said.path("sslrootcert"),
                usual_root: places.in_home(".postgresql/root.crt"),
                certificate: said.path("sslcert"),
                key: said.path("sslkey"),
                server_name: said.one_of("sslsni", &[("1", true), ("0", false)])?.unwrap_or(true),
                direct: said
                    .one_of("sslnegotiation", &[("postgres", false), ("direct", true)])?
                    .unwrap_or(false),
            },
            attrs: said.one_of("target_session_attrs", &ATTRS)?.unwrap_or(SessionAttrs::Any),
            channel_binding: said.one_of("channel_binding", &CHANNEL_BINDINGS)?,
            per_address: said
                .number::<i64>("connect_timeout", "a number of seconds")?
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
            shuffle: said.one_of("load_balance_hosts", &BALANCES)?
                == Some(LoadBalanceHosts::Random),
            config: said.config()?,
            user,
            database,
            password,
        })
    }

    /// Who, where and which database, without anything secret.
    pub(super) fn masked(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(Host::to_string).collect();
        let secret = if matches!(self.password, Password::Given(_)) { ":***" } else { "" };
        format!("postgresql://{}{secret}@{}/{}", self.user, hosts.join(","), self.database)
    }
}

/// A URL as it may be shown: who, where and which database, rebuilt from what was understood.
pub fn mask_url(url: &str) -> String {
    Target::new(url).map_or_else(|_| "(not a PostgreSQL URL)".into(), |target| target.masked())
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Place::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
            Place::Unix(path) => {
                write!(f, "{}:{}", path.display().to_string().replace('/', "%2F"), self.port)
            }
        }
    }
}

impl Host {
    /// The names by which a password file may know it.
    pub(super) fn names(&self) -> Vec<&str> {
        match &self.place {
            Place::Tcp { name, .. } => vec![name],
            Place::Unix(path) => {
                let usual = SOCKET_DIRECTORIES.iter().any(|usual| Path::new(usual) == path);
                path.to_str().into_iter().chain(usual.then_some("localhost")).collect()
            }
        }
    }
}

const ATTRS: [(&str, SessionAttrs); 6] = [
    ("any", SessionAttrs::Any),
    ("read-write", SessionAttrs::Writable),
    ("primary", SessionAttrs::Writable),
    ("read-only", SessionAttrs::Standby),
    ("standby", SessionAttrs::Standby),
    ("prefer-standby", SessionAttrs::PreferStandby),
];

const CHANNEL_BINDINGS: [(&str, ChannelBinding); 3] = [
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

const BALANCES: [(&str, LoadBalanceHosts); 2] =
    [("disable", LoadBalanceHosts::Disable), ("random", LoadBalanceHosts::Random)];

#[cfg(test)]
mod tests;
