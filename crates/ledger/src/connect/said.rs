//! The parameters of a connection string by name: known, typed, and those of a service beneath.

use super::error::UrlError;
use super::files::{Places, service};
use super::parameters::{Parameters, parse};
use super::url::{Host, Place, SOCKET_DIRECTORIES};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;

/// Of libpq, and without a meaning here.
const IGNORED: [&str; 3] = ["application_name", "client_encoding", "fallback_application_name"];

/// Of libpq, and refused: left out, each would make less sure what the user wants to be sure of.
const UNSUPPORTED: [&str; 25] = [
    "authtype",
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslpassword",
    "tty",
];

/// The parameters by name, those of a service beneath.
pub(super) struct Said(Parameters);

impl Said {
    pub(super) fn new(url: &str, places: &Places) -> Result<Self, UrlError> {
        let own = Self(parse(url)?);
        own.refuse_strangers()?;
        let Some(name) = own.get("service") else { return Ok(own) };
        let beneath = Self(service(name, own.get("servicefile"), places)?);
        beneath.refuse_strangers()?;
        Ok(Self([beneath.0, own.0].concat()))
    }

    /// The last that was said; empty means unsaid.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(found, value)| found == name && !value.is_empty());
        last.map(|(_, value)| value.as_str())
    }

    /// After a password, what looks like a parameter may be the rest of it, and is not named.
    fn refuse_strangers(&self) -> Result<(), UrlError> {
        let mut after_password = false;
        for (name, _) in &self.0 {
            if UNSUPPORTED.contains(&name.as_str()) {
                return Err(UrlError::Unsupported(name.clone()));
            }
            if !KNOWN.contains(&name.as_str()) && !IGNORED.contains(&name.as_str()) {
                let plain = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
                let shown = plain && name.len() < 40 && !after_password;
                return Err(UrlError::Unknown(match shown {
                    true => format!(" `{name}`"),
                    false => String::new(),
                }));
            }
            after_password |= name == "password" || name == "sslkey";
        }
        Ok(())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    pub(super) fn one_of<T: Copy>(
        &self,
        name: &'static str,
        values: &'static [(&'static str, T)],
    ) -> Result<Option<T>, UrlError> {
        let Some(said) = self.get(name) else { return Ok(None) };
        let found = values.iter().find(|(value, _)| *value == said);
        let expected = "one of those that PostgreSQL's manual lists";
        found.map(|(_, meaning)| Some(*meaning)).ok_or(UrlError::Value { name, expected })
    }

    pub(super) fn number<N: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<N>, UrlError> {
        let parsed = self.get(name).map(|text| text.trim().parse());
        parsed.transpose().map_err(|_| UrlError::Value { name, expected })
    }

    pub(super) fn hosts(&self) -> Result<Vec<Host>, UrlError> {
        let list = |name| self.get(name).map(|text| text.split(',').collect::<Vec<_>>());
        let (names, addresses) = (list("host"), list("hostaddr"));
        let count = addresses.as_ref().or(names.as_ref()).map_or(1, Vec::len);
        let ports = list("port").unwrap_or_default();
        if names.as_ref().is_some_and(|names| names.len() != count) {
            return Err(UrlError::Contradiction("has another number of hosts than of hostaddrs"));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(UrlError::Contradiction("has another number of ports than of hosts"));
        }
        (0..count)
            .map(|i| {
                let at = |list: &Option<Vec<&str>>| {
                    list.as_ref().map(|list| list[i].trim().to_owned()).unwrap_or_default()
                };
                let place = place(at(&names), at(&addresses))?;
                Ok(Host { place, port: port(ports.get(i).or(ports.first()))? })
            })
            .collect()
    }

    pub(super) fn config(&self) -> Result<Config, UrlError> {
        const SECONDS: &str = "a number of seconds";
        // Encryption by Kerberos is never tried, which is what these two allow.
        self.one_of("gssencmode", &[("disable", ()), ("prefer", ())])?;
        let mut config = Config::new();
        config.options(self.get("options").unwrap_or_default());
        let milliseconds = self.number("tcp_user_timeout", "a number of milliseconds")?;
        let seconds = |name, otherwise: u32| {
            let said = self.number(name, SECONDS)?.unwrap_or(otherwise);
            Ok(Duration::from_secs(said.into()))
        };
        let retries = self.number("keepalives_count", "a number")?.unwrap_or(3);
        config
            .tcp_user_timeout(Duration::from_millis(milliseconds.unwrap_or(5000)))
            .keepalives(self.one_of("keepalives", &[("1", true), ("0", false)])?.unwrap_or(true))
            .keepalives_idle(seconds("keepalives_idle", 5)?)
            .keepalives_interval(seconds("keepalives_interval", 2)?)
            .keepalives_retries(retries);
        Ok(config)
    }
}

const KNOWN: [&str; 26] = [
    "channel_binding",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "servicefile",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

fn place(name: String, address: String) -> Result<Place, UrlError> {
    let expected = "an IP address";
    let address: Option<IpAddr> = match address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| UrlError::Value { name: "hostaddr", expected })?),
    };
    Ok(match (name.as_str(), address) {
        ("", None) => {
            let usual = SOCKET_DIRECTORIES.iter().find(|path| Path::new(path).is_dir());
            Place::Unix(usual.unwrap_or(&SOCKET_DIRECTORIES[1]).into())
        }
        ("", Some(address)) => Place::Tcp { name: address.to_string(), address: Some(address) },
        (path, None) if path.starts_with('/') => Place::Unix(path.into()),
        _ => {
            // A raw @ or / here is the rest of a password that was not percent-encoded.
            if name.contains(['@', '/']) {
                return Err(UrlError::Ambiguous);
            }
            let address = address.or_else(|| name.parse().ok());
            Place::Tcp { name, address }
        }
    })
}

fn port(said: Option<&&str>) -> Result<u16, UrlError> {
    match said.map(|text| text.trim()) {
        None | Some("") => Ok(5432),
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(UrlError::Value { name: "port", expected: "a number from 1 to 65535" }),
    }
}
