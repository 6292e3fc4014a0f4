use crate::client::Shared;
use crate::connections::Connections;
use crate::{Client, RetryPolicy};
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`Client`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    url: String,
    deadline: Duration,
    attempt_timeout: Duration,
    retries: RetryPolicy,
    max_connections: usize,
    client_header: Option<(String, String)>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {problem}")]
#[non_exhaustive]
pub struct BuildError {
    /// Its name.
    pub setting: &'static str,
    /// What is wrong with it: a clause that follows the name.
    pub problem: String,
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            deadline: Duration::from_secs(2),
            attempt_timeout: Duration::from_secs(1),
            retries: RetryPolicy::default(),
            max_connections: 64,
            client_header: None,
        }
    }

    /// How long a call may take in all, with its retries; 2 s unless set.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// How long one attempt may take, connecting included; 1 s unless set. What is not answered by then
    /// is unknown and sent again, so let it be far above what a busy server needs.
    pub fn attempt_timeout(self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self }
    }

    /// What is retried, and how often.
    pub fn retries(self, retries: RetryPolicy) -> Self {
        Self { retries, ..self }
    }

    /// How many connections there may be, 64 unless set. A call occupies one while it waits for an
    /// answer; further ones wait for their turn.
    pub fn max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// Names this client to a server that shares its queue fairly by the header of its setting
    /// `server.client_header`.
    pub fn client_header(self, name: &str, value: &str) -> Self {
        Self { client_header: Some((name.to_owned(), value.to_owned())), ..self }
    }

    /// Makes the client. It connects when it is first used.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] that names the setting.
    pub fn build(self) -> Result<Client, BuildError> {
        let target = Target::parse(&self.url).ok_or_else(|| {
            wrong("url", format!("{:?} is not of the form http://host:port", self.url))
        })?;
        for (setting, value) in
            [("deadline", self.deadline), ("attempt_timeout", self.attempt_timeout)]
        {
            if value.is_zero() || value > LONGEST {
                return Err(wrong(setting, format!("must be more than 0 and at most {LONGEST:?}")));
            }
        }
        if self.max_connections == 0 || self.max_connections > MOST_CONNECTIONS {
            return Err(wrong("max_connections", format!("must be 1 to {MOST_CONNECTIONS}")));
        }
        let client_header = self.client_header.map(header).transpose()?;
        let shared = Shared {
            connections: Connections::new(target, self.max_connections),
            budget: self.retries.budget(),
            retries: self.retries,
            attempt_timeout: self.attempt_timeout,
            client_header,
        };
        Ok(Client { shared: Arc::new(shared), deadline: self.deadline })
    }
}

/// Of a call: what is longer is a job, not a request.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);
const MOST_CONNECTIONS: usize = 10_000;

fn wrong(setting: &'static str, problem: String) -> BuildError {
    BuildError { setting, problem }
}

fn header((name, value): (String, String)) -> Result<(HeaderName, HeaderValue), BuildError> {
    let problem = || wrong("client_header", format!("{name:?}: {value:?} is not a header"));
    let name_parsed = HeaderName::try_from(&name).map_err(|_| problem())?;
    let value_parsed = HeaderValue::try_from(&value).map_err(|_| problem())?;
    Ok((name_parsed, value_parsed))
}

/// Where the server is.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) host_header: HeaderValue,
}

impl Target {
    /// From `http`, a host, perhaps a port, and nothing more.
    fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let authority = uri.authority()?;
        let plain = uri.scheme_str() == Some("http") && !authority.as_str().contains('@');
        if !plain || uri.path() != "/" || uri.query().is_some() {
            return None;
        }
        Some(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            host_header: HeaderValue::from_str(authority.as_str()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(builder: Builder) -> &'static str {
        builder.build().expect_err("refused").setting
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named() {
        let giro = || Builder::new("http://localhost:8080");
        assert!(giro().client_header("x-client", "billing").build().is_ok());
        assert!(Builder::new("http://[::1]:8080/").build().is_ok());
        for url in
            ["", "localhost:8080", "https://localhost", "http://a/b", "http://u:p@a", "http://a/?b"]
        {
            assert_eq!(setting(Builder::new(url)), "url", "{url}");
        }
        assert_eq!(setting(giro().deadline(Duration::ZERO)), "deadline");
        assert_eq!(setting(giro().attempt_timeout(Duration::MAX)), "attempt_timeout");
        assert_eq!(setting(giro().max_connections(0)), "max_connections");
        assert_eq!(setting(giro().client_header("x client", "a")), "client_header");
    }
}
