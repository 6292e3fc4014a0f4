//! Where the batcher and the ledger meet.

use super::StartError;
use super::health::Trouble;
use crate::config::Config;
use crate::http::{self, Resource};
use giro_batcher::{Batch, BatchError, Batcher};
use giro_ledger::{Connector, Lane, Unapplied};
use prometheus::Registry;
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) type Requests<R> = http::Items<R>;
pub(super) type Verdicts<R> = http::Verdicts<R>;

/// What every lane of the server is made from.
pub(super) struct Engine<'a> {
    pub(super) config: &'a Config,
    pub(super) connector: &'a Connector,
    pub(super) registry: &'a Registry,
    pub(super) ledger_metrics: &'a giro_ledger::Metrics,
    pub(super) workers: &'a mut JoinSet<()>,
    pub(super) background: &'a mut JoinSet<()>,
}

/// A batcher, and what keeps each of its lanes from a session.
pub(super) type Started<R> = (Batcher<Requests<R>, Verdicts<R>>, Vec<Trouble>);

impl Engine<'_> {
    /// A batcher with its lanes, each with a session of its own.
    pub(super) fn start<R: Resource>(
        &mut self,
        name: &str,
        lanes: usize,
    ) -> Result<Started<R>, StartError> {
        let server = server_name();
        let lanes: Vec<Arc<Seam<R>>> = (1..=lanes)
            .map(|number| {
                Arc::new(Seam(Arc::new(Lane::new(
                    format!("{name} {number}"),
                    server.clone(),
                    self.connector.clone(),
                    self.config.watchdog(),
                    self.ledger_metrics.clone(),
                ))))
            })
            .collect();
        let metrics = giro_batcher::Metrics::register(self.registry, R::PLURAL)?;
        let (batcher, workers) = Batcher::new(self.config.limits(), lanes.clone(), metrics)?;
        for worker in workers {
            self.workers.spawn(worker);
        }
        for lane in &lanes {
            self.background.spawn(lane.0.clone().keep_connected());
        }
        let trouble = lanes.into_iter().map(|lane| {
            let trouble: Trouble = Arc::new(move || lane.0.trouble());
            trouble
        });
        Ok((batcher, trouble.collect()))
    }
}

/// Who writes, for the rows in `giro.batches`.
pub(super) fn server_name() -> String {
    let host = rustix::system::uname();
    format!("{}/{}", host.nodename().to_string_lossy(), std::process::id())
}

/// A lane of the ledger as the batcher sees it: a batch of requests becomes a call.
struct Seam<R: Resource>(Arc<Lane<R::Call>>);

impl<R: Resource> giro_batcher::Lane<Requests<R>, Verdicts<R>> for Seam<R> {
    async fn ready(&self) {
        self.0.connected().await;
    }

    async fn apply(&self, batch: Batch<Requests<R>>) -> Result<Vec<Verdicts<R>>, BatchError> {
        let verdicts =
            self.0.apply(&batch.requests, batch.deadline).await.map_err(|error| match error {
                Unapplied::NotSent => BatchError::NotSent,
                Unapplied::RolledBack => BatchError::RolledBack,
                Unapplied::Unknown => BatchError::Unknown,
            })?;
        Ok(batch
            .requests
            .into_iter()
            .zip(verdicts)
            .map(|(items, verdicts)| items.into_iter().zip(verdicts).collect())
            .collect())
    }
}
