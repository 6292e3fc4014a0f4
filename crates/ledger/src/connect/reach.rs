//! From the hosts of a URL to one session that has been checked.

use super::error::ConnectError;
use super::hosts::{Hosts, Tried, addresses, share};
use super::lineage::Highest;
use super::peer::{Look, Peer};
use super::session::Session;
use super::tls::{SslMode, Tls, explain};
use super::url::{Host, Password, Place, SessionAttrs, Target};
use crate::describe::describe;
use crate::schema;
use futures_util::future::join_all;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::{ChannelBinding, SslMode as DriverMode, SslNegotiation};
use tokio_postgres::{Config, NoTls};

/// Where a URL leads, and what trying it has shown.
pub(super) struct Reach {
    pub(super) target: Target,
    pub(super) tls: Tls,
    pub(super) hosts: Hosts,
    pub(super) highest: Highest,
    /// From the first packet to the checked session, over all hosts.
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) lock_timeout: Duration,
}

/// What a session is for, and so what its database has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The primary on the highest timeline, whose commits are acknowledged.
    Write,
    /// The same, though its commits may wait.
    Read,
    /// Any that takes writes, whatever schema it has.
    Migrate,
    /// Any with the schema, as `target_session_attrs` says.
    Inspect(SessionAttrs),
    /// Any, for a look at its timeline.
    Survey,
    /// Whatever is wrong with it; `primary`: the one that a server would write to. `plain`: without the
    /// settings of a server's sessions.
    Examine { primary: bool, plain: bool },
}

impl Purpose {
    fn wants_primary(self) -> bool {
        !matches!(self, Self::Inspect(_) | Self::Examine { primary: false, .. })
    }
}

/// A session, and what it turned out to be where that matters.
pub(super) type Opened = (Session, Option<Peer>);

impl Reach {
    /// A session on the first host that will do.
    pub(super) async fn open(&self, name: &str, purpose: Purpose) -> Result<Opened, ConnectError> {
        let wants_primary = purpose.wants_primary();
        if wants_primary && self.target.attrs == SessionAttrs::Standby {
            return Err(ConnectError::StandbyAsked);
        }
        let deadline = Instant::now() + self.connect_timeout;
        if wants_primary && self.hosts.len() > 1 && self.highest.get().is_none() {
            self.survey().await;
        }
        let order = self.hosts.in_order();
        let mut failures = Vec::new();
        for (i, tried) in order.iter().enumerate() {
            let time = share(deadline, order.len() - i);
            match self.try_host(tried, time, name, purpose).await {
                Ok(opened) => return Ok(opened),
                Err(failed) => failures.extend(failed),
            }
        }
        match failures.len() {
            1 => Err(failures.remove(0).1),
            _ => Err(ConnectError::Hosts(failures)),
        }
    }

    /// Looks at all hosts at once before the first is chosen: an old primary that is back after a
    /// failover would take writes as well.
    async fn survey(&self) {
        let time = self.connect_timeout / 2;
        let look = |tried| self.try_host(tried, time, "giro survey", Purpose::Survey);
        join_all(self.hosts.in_order().into_iter().map(look)).await;
    }

    /// A session on one host, or why none of its addresses gave one.
    async fn try_host(
        &self,
        tried: &Tried,
        time: Duration,
        name: &str,
        purpose: Purpose,
    ) -> Result<Opened, Vec<(String, ConnectError)>> {
        let (host, deadline) = (&tried.host, Instant::now() + time);
        let late = |time| ConnectError::Timeout(time);
        let addresses = timeout_at(deadline, addresses(host)).await.unwrap_or(Err(late(time)));
        let addresses = addresses.map_err(|error| vec![(host.to_string(), error)])?;
        let mut failures = Vec::new();
        for (i, address) in addresses.iter().enumerate() {
            let time = share(deadline, addresses.len() - i);
            let time = time.min(self.target.per_address.unwrap_or(time));
            let attempt = self.try_address(host, *address, name, purpose);
            let result = timeout(time, attempt).await;
            tried.note(result.is_err());
            match result.unwrap_or(Err(late(time))) {
                Ok(opened) => return Ok(opened),
                Err(error) => failures.push((shown(host, *address, addresses.len()), error)),
            }
        }
        Err(failures)
    }

    async fn try_address(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        name: &str,
        purpose: Purpose,
    ) -> Result<Opened, ConnectError> {
        let plain = matches!(purpose, Purpose::Examine { plain: true, .. });
        let mut session = self.session(host, address, name, plain).await?;
        if matches!(purpose, Purpose::Examine { primary: false, .. }) {
            return Ok((session, None));
        }
        let look = Look::at(&session).await?;
        match (purpose, look.refuses_writes()) {
            (Purpose::Inspect(SessionAttrs::Standby), None) => {
                return Err(ConnectError::NotStandby);
            }
            (Purpose::Inspect(SessionAttrs::Writable), Some(refusal)) => return Err(refusal),
            (Purpose::Inspect(_), _) => {
                schema::check(&session.client).await?;
                return Ok((session, None));
            }
            (_, Some(refusal)) => return Err(refusal),
            (_, None) => {}
        }
        let Some(lineage) = look.lineage() else { return Err(ConnectError::InRecovery) };
        self.highest.admit(lineage, &session.lineage)?;
        if matches!(purpose, Purpose::Survey | Purpose::Migrate | Purpose::Examine { .. }) {
            return Ok((session, None));
        }
        if purpose == Purpose::Write {
            look.check_hanging()?;
        }
        look.check_settings(self.statement_timeout, self.lock_timeout)?;
        let peer = look.into_peer(lineage)?;
        schema::check(&session.client).await?;
        session.clock = Some(peer.clock);
        Ok((session, Some(peer)))
    }

    async fn session(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        name: &str,
        plain: bool,
    ) -> Result<Session, ConnectError> {
        let mut config = self.target.config.clone();
        if plain {
            config.options("");
        }
        config.application_name(name).port(host.port);
        match &host.place {
            Place::Unix(path) => config.host_path(path),
            Place::Tcp { name, .. } => config.host(name),
        };
        if let Some(address) = address {
            config.hostaddr(address);
        }
        let has_password = self.set_password(&mut config, host)?;
        let mode = driver_mode(self.tls.mode, address);
        config.ssl_mode(mode);
        if self.tls.direct && mode == DriverMode::Require {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        let proves_itself = mode != DriverMode::Require || self.tls.verified || !has_password;
        config.channel_binding(self.target.channel_binding.unwrap_or(match proves_itself {
            true => ChannelBinding::Prefer,
            // Nothing else says who the server is, and to an impostor no password may be sent.
            false => ChannelBinding::Require,
        }));
        let highest = self.highest.subscribe();
        match self.tls.connector.clone().filter(|_| mode != DriverMode::Disable) {
            Some(tls) => {
                let connected = config.connect(tls).await;
                let connected = connected.map_err(|error| match unproven(&error) {
                    true if !proves_itself => ConnectError::Unproven,
                    _ => explain(error),
                })?;
                Ok(Session::start(connected, name, highest))
            }
            None => Ok(Session::start(config.connect(NoTls).await?, name, highest)),
        }
    }

    /// Says whether there is one.
    fn set_password(&self, config: &mut Config, host: &Host) -> Result<bool, ConnectError> {
        let Target { password, database, user, .. } = &self.target;
        let password = match password {
            Password::None => None,
            Password::Given(password) => Some(password.clone()),
            Password::File(file) => file
                .password(&host.names(), host.port, database, user)
                .map_err(ConnectError::Password)?,
        };
        if let Some(password) = &password {
            config.password(password);
        }
        Ok(password.is_some())
    }

    /// The port of the one host that the URL names.
    pub(super) fn only_port(&self) -> Option<u16> {
        match &self.hosts.in_order()[..] {
            [tried] => Some(tried.host.port),
            _ => None,
        }
    }

    pub(super) fn warn_of_weak_tls(&self) {
        if !self.hosts.in_order().iter().any(|tried| may_be_elsewhere(&tried.host)) {
            return;
        }
        if self.tls.mode == SslMode::Disable {
            tracing::warn!(
                "sslmode=disable: passwords and transfers travel to another machine in plaintext"
            );
        } else if !self.tls.verified {
            tracing::warn!(
                "the server's certificate is not checked: sslmode=verify-full with sslrootcert does"
            );
        }
    }
}

/// What is asked of the driver. Nothing leaves this machine in plaintext unless that was asked for.
fn driver_mode(mode: SslMode, address: Option<IpAddr>) -> DriverMode {
    match (mode, address) {
        (SslMode::Disable, _) | (_, None) => DriverMode::Disable,
        (SslMode::Prefer, Some(address)) if address.to_canonical().is_loopback() => {
            DriverMode::Prefer
        }
        _ => DriverMode::Require,
    }
}

/// The server did not, or could not, prove by channel binding that it knows the password.
fn unproven(error: &tokio_postgres::Error) -> bool {
    describe(error).contains("channel binding")
}

fn may_be_elsewhere(host: &Host) -> bool {
    match &host.place {
        Place::Unix(_) => false,
        Place::Tcp { address: Some(address), .. } => !address.to_canonical().is_loopback(),
        Place::Tcp { name, .. } => name != "localhost",
    }
}

fn shown(host: &Host, address: Option<IpAddr>, of: usize) -> String {
    match address {
        Some(address) if of > 1 => format!("{host} ({address})"),
        _ => host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_leaves_this_machine_only_when_it_is_asked_for() {
        let here = Some("127.0.0.1".parse().unwrap());
        let there = Some("192.0.2.1".parse().unwrap());
        for (mode, address, expected) in [
            (SslMode::Disable, there, DriverMode::Disable),
            (SslMode::Prefer, None, DriverMode::Disable),
            (SslMode::Prefer, here, DriverMode::Prefer),
            (SslMode::Prefer, Some("::1".parse().unwrap()), DriverMode::Prefer),
            (SslMode::Prefer, there, DriverMode::Require),
            (SslMode::Require, here, DriverMode::Require),
            (SslMode::VerifyFull, None, DriverMode::Disable),
            (SslMode::VerifyFull, there, DriverMode::Require),
        ] {
            assert_eq!(driver_mode(mode, address), expected, "{mode:?} {address:?}");
        }
    }
}
