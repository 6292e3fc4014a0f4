//! One way to a PostgreSQL session: to the right host, bounded in time, checked before use, watched
//! while it lives.
//!
//! | file | holds |
//! | --- | --- |
//! | `parameters`, `said`, `url` | a connection string taken apart, by name, and what it means |
//! | `files` | passwords and services in files |
//! | `tls` | what `sslmode` asks of the server's certificate |
//! | `reach` | from hosts to a checked session |
//! | `hosts`, `lineage` | which host is tried when, and which primary is the real one |
//! | `session`, `clock` | a live session, and its database's clock |
//! | `peer` | what is looked at in a new session |
//! | `error` | why there is none |

use hosts::Hosts;
use lineage::Highest;
use reach::{Purpose, Reach};
use std::sync::Arc;
use std::time::Duration;
use tls::Tls;
use tokio::time::timeout;
use url::{SessionAttrs, Target};

mod clock;
mod error;
mod files;
#[cfg(fuzzing)]
pub mod fuzz;
mod hosts;
mod lineage;
mod parameters;
mod peer;
mod reach;
mod said;
mod session;
mod tls;
mod url;

pub use clock::Clock;
pub use error::{ConnectError, UrlError};
pub use lineage::Lineage;
pub use peer::{Durability, Peer};
pub(crate) use session::Session;
pub use url::mask_url;

/// How sessions are opened, and what bounds a statement in them. Its clones share what they have seen
/// of the hosts.
#[derive(Clone)]
pub struct Connector(Arc<Reach>);

impl Connector {
    /// From a connection string as libpq has them: a URL or `key=value` pairs. The session settings
    /// bound every statement and lock wait, and free the locks of a server that is gone.
    ///
    /// # Errors
    ///
    /// [`UrlError`] if the string, or a file that it names, cannot be used.
    pub fn new(
        url: &str,
        connect_timeout: Duration,
        statement_timeout: Duration,
        lock_timeout: Duration,
    ) -> Result<Self, UrlError> {
        let mut target = Target::new(url)?;
        // transaction_timeout (PostgreSQL 17) would add nothing: a batch is one statement, and
        // neither of the two ends a commit that waits for a standby.
        let options = format!(
            "{} -c statement_timeout={} -c lock_timeout={} -c client_connection_check_interval=1000 \
             -c client_min_messages=warning -c default_transaction_isolation=read\\ committed \
             -c idle_in_transaction_session_timeout=5000",
            target.config.get_options().unwrap_or_default(),
            statement_timeout.as_millis(),
            lock_timeout.as_millis(),
        );
        target.config.options(options).user(&target.user).dbname(&target.database);
        let tls = Tls::new(&target.tls)?;
        let hosts = Hosts::new(std::mem::take(&mut target.hosts), target.shuffle);
        let highest = Highest::new();
        let reach =
            Reach { target, tls, hosts, highest, connect_timeout, statement_timeout, lock_timeout };
        Ok(Self(Arc::new(reach)))
    }

    /// A session that has shown that it can serve, and what it is.
    pub(crate) async fn open(&self, name: &str) -> Result<(Session, Peer), ConnectError> {
        let (session, peer) = self.0.open(name, Purpose::Write).await?;
        Ok((session, peer.expect("who writes knows its peer")))
    }

    /// A session that only reads: it is opened while commits wait for a standby as well.
    pub(crate) async fn open_reader(&self, name: &str) -> Result<Session, ConnectError> {
        Ok(self.0.open(name, Purpose::Read).await?.0)
    }

    /// What makes a new session ready for its use, bounded as opening it is.
    pub(crate) async fn within<T>(
        &self,
        step: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ConnectError> {
        let time = self.0.connect_timeout;
        Ok(timeout(time, step).await.map_err(|_| ConnectError::Timeout(time))??)
    }

    /// Opens one session and looks at it: for a clear error at start.
    pub async fn probe(&self) -> Result<Peer, ConnectError> {
        self.0.warn_of_weak_tls();
        self.open("giro probe").await.map(|(_, peer)| peer)
    }

    /// A session to change the schema with.
    pub(crate) async fn open_migration(&self, name: &str) -> Result<Session, ConnectError> {
        Ok(self.0.open(name, Purpose::Migrate).await?.0)
    }

    /// A session to look at the ledger with, on a standby as well.
    pub(crate) async fn inspect(&self, name: &str) -> Result<Session, ConnectError> {
        let wanted = self.0.target.attrs;
        if wanted == SessionAttrs::PreferStandby {
            let standby = self.0.open(name, Purpose::Inspect(SessionAttrs::Standby)).await;
            if let Ok((session, _)) = standby {
                return Ok(session);
            }
        }
        Ok(self.0.open(name, Purpose::Inspect(wanted)).await?.0)
    }

    /// A session to look at a database with that may be unfit in any way: on the primary if there is
    /// one, else on any host. `plain`: without the settings of a server's sessions.
    pub(crate) async fn examine(&self, name: &str, plain: bool) -> Result<Session, ConnectError> {
        if let Ok((session, _)) = self.0.open(name, Purpose::Examine { primary: true, plain }).await
        {
            return Ok(session);
        }
        Ok(self.0.open(name, Purpose::Examine { primary: false, plain }).await?.0)
    }

    /// The time-outs of its sessions: of a statement, and of a wait for a lock.
    pub(crate) fn session_timeouts(&self) -> (Duration, Duration) {
        (self.0.statement_timeout, self.0.lock_timeout)
    }

    /// The port of the one host that the URL names.
    pub(crate) fn only_port(&self) -> Option<u16> {
        self.0.only_port()
    }

    /// The URL asks for a host that takes no writes.
    pub(crate) fn wants_standby(&self) -> bool {
        matches!(self.0.target.attrs, SessionAttrs::Standby | SessionAttrs::PreferStandby)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn a_step_that_is_never_answered_ends_with_the_time_for_connecting() {
        let (time, none) = (Duration::from_millis(20), Duration::ZERO);
        let connector = Connector::new("postgresql://u@127.0.0.1/d", time, none, none).unwrap();
        let ended = connector.within(pending::<Result<(), _>>()).await;
        assert!(matches!(ended, Err(ConnectError::Timeout(after)) if after == time), "{ended:?}");
        assert!(connector.within(async { Ok(7) }).await.is_ok_and(|done| done == 7));
    }
}
