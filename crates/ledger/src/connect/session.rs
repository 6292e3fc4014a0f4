//! A live session, and the task that moves its bytes.

use super::clock::Clock;
use super::lineage::{Lineage, superseded};
use crate::describe::describe;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::error::Severity;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};

/// A live session. Dropping it closes it.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Warnings received so far. PostgreSQL reports a cancelled wait for a synchronous standby as a
    /// success with a warning, so a call during which one came has an unknown result.
    warnings: Arc<AtomicU64>,
    closed: watch::Receiver<()>,
    driver: AbortHandle,
    killed: AtomicBool,
    /// Of its database, once that has been looked at.
    pub(super) lineage: Arc<OnceLock<Lineage>>,
    pub(super) clock: Option<Clock>,
}

impl Session {
    /// Starts the session's task, which also ends it when a higher lineage than its own is seen.
    pub(super) fn start<S: TlsStream + Unpin + Send + 'static>(
        (client, connection): (Client, Connection<Socket, S>),
        name: &str,
        highest: watch::Receiver<Option<Lineage>>,
    ) -> Self {
        let warnings = Arc::new(AtomicU64::new(0));
        let lineage = Arc::new(OnceLock::new());
        let (alive, closed) = watch::channel(());
        let (counted, name, own) = (warnings.clone(), name.to_owned(), lineage.clone());
        let driver = tokio::spawn(async move {
            let _alive = alive;
            tokio::select! {
                () = drive(connection, &counted, &name) => {}
                () = superseded(highest, &own) => {
                    tracing::warn!(session = name, "the session is ended: its database was replaced \
                                                    by a promoted standby");
                }
            }
        });
        let driver = driver.abort_handle();
        let killed = AtomicBool::new(false);
        Self { client, warnings, closed, driver, killed, lineage, clock: None }
    }

    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.killed.load(Ordering::Acquire) && !self.client.is_closed()
    }

    /// The database's clock; nothing on a session that only looks at the ledger.
    pub(crate) fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// It was ended from here.
    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Resolves when the session has ended, for whatever reason.
    pub(crate) async fn ended(&self) {
        let _ = self.closed.clone().changed().await; // an error: the driver has dropped its end
    }

    /// Ends the session at once: every call on it fails, whatever PostgreSQL is doing.
    pub(crate) fn kill(&self) {
        // The abort takes effect later; nobody is to be handed the session until then.
        self.killed.store(true, Ordering::Release);
        self.driver.abort();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Moves the session's bytes until it ends.
async fn drive<S: TlsStream + Unpin>(
    mut connection: Connection<Socket, S>,
    warnings: &AtomicU64,
    name: &str,
) {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice))
                if notice.parsed_severity() == Some(Severity::Warning) =>
            {
                warnings.fetch_add(1, Ordering::Release);
                tracing::warn!(
                    session = name,
                    sqlstate = notice.code().code(),
                    "{}",
                    notice.message()
                );
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(session = name, "the session ended: {}", describe(&error));
                return;
            }
        }
    }
}
