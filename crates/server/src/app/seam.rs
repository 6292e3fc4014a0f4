//! Where the batcher and the ledger meet.

use super::StartError;
use super::health::Lanes;
use crate::config::Config;
use crate::http::{self, Resource};
use giro_batcher::{Batcher, Failure};
use giro_ledger::{Connector, Lane, Prepared};
use prometheus::Registry;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) type Requests<R> = http::Items<R>;
pub(super) type Verdicts<R> = http::Verdicts<R>;

/// What every batcher of the server is made from.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) connector: &'a Connector,
    pub(super) registry: &'a Registry,
    pub(super) ledger_metrics: &'a giro_ledger::Metrics,
    pub(super) workers: &'a mut JoinSet<()>,
}

/// A batcher, and its lanes as they are.
pub(super) type Started<R> = (Batcher<Requests<R>, Verdicts<R>>, Lanes);

impl Parts<'_> {
    /// A batcher with its lanes, each with a session of its own.
    pub(super) fn start<R: Resource>(
        &mut self,
        name: &str,
        lanes: usize,
    ) -> Result<Started<R>, StartError> {
        let server = server_name();
        let seams: Vec<Arc<Seam<R>>> = (1..=lanes)
            .map(|number| {
                Arc::new(Seam(Lane::new(
                    format!("{name} {number}"),
                    server.clone(),
                    self.connector.clone(),
                    self.config.watchdog(),
                    self.ledger_metrics.clone(),
                )))
            })
            .collect();
        let metrics = giro_batcher::Metrics::register(self.registry, R::PLURAL)?;
        let (batcher, driver) = Batcher::new(self.config.limits(), seams.clone(), metrics)?;
        self.workers.spawn(driver);
        let watched = batcher.clone();
        let health = move || {
            let failure = seams.iter().find_map(|seam| seam.0.last_failure());
            (watched.health(), failure)
        };
        Ok((batcher, Lanes { count: lanes, health: Arc::new(health) }))
    }
}

/// Who writes, for the rows in `giro.batches`.
pub(super) fn server_name() -> String {
    let host = rustix::system::uname();
    format!("{}/{}", host.nodename().to_string_lossy(), std::process::id())
}

/// A lane of the ledger as the batcher sees it: a batch of requests becomes a call.
struct Seam<R: Resource>(Lane<R::Call>);

impl<R: Resource> giro_batcher::Lane<Requests<R>, Verdicts<R>> for Seam<R> {
    type Session = Prepared;

    async fn connect(&self) -> Option<Prepared> {
        self.0.connect().await
    }

    async fn send(
        &self,
        session: &Prepared,
        requests: &[Requests<R>],
        not_after: Instant,
    ) -> Result<Vec<Verdicts<R>>, Failure> {
        self.0.send(session, requests, not_after).await.map_err(|failure| match failure {
            giro_ledger::Failure::Overtaken => Failure::Overtaken,
            giro_ledger::Failure::Contended => Failure::Contended,
            giro_ledger::Failure::Locked => Failure::Locked,
            giro_ledger::Failure::Exhausted => Failure::Exhausted,
            giro_ledger::Failure::Fenced | giro_ledger::Failure::WrongSession => {
                Failure::WrongSession
            }
            giro_ledger::Failure::Poisoned => Failure::Poisoned,
            giro_ledger::Failure::Broken => Failure::Broken,
            giro_ledger::Failure::Unknown(_) => Failure::Unknown,
        })
    }

    async fn ended(&self, session: &Prepared) {
        session.ended().await;
    }

    fn disconnect(&self, session: &Prepared) {
        session.disconnect();
    }
}
