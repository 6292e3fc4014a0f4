//! Wiring: a server from its configuration, and its end.

use crate::config::Config;
use crate::descriptors;
use crate::http::serve::{ConnectionLimits, Stage, listen, serve};
use crate::http::{
    self, Accounts, Api, BodyBudget, DryRuns, Intake, Resource, Routes, Transfers, admin,
};
use crate::metrics::{Metrics, Outcomes};
use giro_batcher::Batcher;
use giro_ledger::{ConnectError, Expiry, Readers};
use health::{greet, readiness, sample};
use http::RequestLimits;
use prometheus::{IntCounterVec, Registry};
use seam::{Parts, Requests, Verdicts, server_name};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

mod health;
mod horizon;
mod pressure;
mod seam;

/// Scrapes and probes come by themselves again: an idle connection only keeps others out.
const ADMIN_IDLE_MAX: Duration = Duration::from_secs(5);

/// On the average: with HTTP/1 there is one, with HTTP/2 some have many.
const REQUESTS_PER_CONNECTION: usize = 4;

/// A running server.
pub struct App {
    api_address: SocketAddr,
    admin_address: SocketAddr,
    transfers: Batcher<Requests<Transfers>, Verdicts<Transfers>>,
    accounts: Batcher<Requests<Accounts>, Verdicts<Accounts>>,
    /// End when their queue is drained after a close, and never before.
    workers: JoinSet<()>,
    /// Run until they are aborted.
    background: JoinSet<()>,
    stage: watch::Sender<Stage>,
    listeners: Vec<JoinHandle<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No URL.
    #[error(
        "database.url is not set: give it as DATABASE_URL, or in a file named by \
             DATABASE_URL_FILE"
    )]
    NoDatabase,
    /// A URL that cannot be used.
    #[error("database.url {0}")]
    Url(#[from] giro_ledger::UrlError),
    /// A database that will not do, now or later.
    #[error("{0}")]
    Database(#[from] ConnectError),
    /// An address that is taken or not ours.
    #[error("{key} = {address} cannot be listened on: {source}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// More connections than descriptors.
    #[error("{0}")]
    Descriptors(String),
    /// Metrics that clash; a bug.
    #[error("{0}")]
    Metrics(#[from] prometheus::Error),
    /// Limits that contradict each other.
    #[error("{0}")]
    Limits(#[from] giro_batcher::LimitsError),
}

/// How a stop went.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every request that was admitted has been answered by its outcome.
    Drained,
    /// Time ran out.
    TimedOut {
        /// Items that were still queued; they were answered as not applied.
        abandoned: usize,
    },
}

impl App {
    /// Starts a server. A database that cannot be reached yet is waited for, not ready meanwhile;
    /// one that refuses or does not fit is an error.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let url = config.database.url.as_ref().ok_or(StartError::NoDatabase)?;
        let connector = config.connector(url)?;
        descriptors::make_room("server.max_connections", config.server.max_connections)
            .map_err(StartError::Descriptors)?;
        greet(&connector, url).await?;
        let api_listener = bind("server.listen", config.server.listen)?;
        let admin_listener = bind("admin.listen", config.admin.listen)?;
        let (api_address, admin_address) = (
            address(&api_listener, config.server.listen),
            address(&admin_listener, config.admin.listen),
        );

        let registry = Registry::new();
        let metrics = Metrics::register(&registry)?;
        let ledger_metrics = giro_ledger::Metrics::register(&registry)?;
        let mut workers = JoinSet::new();
        let mut background = JoinSet::new();
        let mut parts = Parts {
            config,
            connector: &connector,
            registry: &registry,
            ledger_metrics: &ledger_metrics,
            workers: &mut workers,
        };
        let (transfers, lanes) = parts.start::<Transfers>("giro lane", config.database.lanes)?;
        let (accounts, account_lanes) = parts.start::<Accounts>("giro accounts", 1)?;
        let expiry = Expiry::new(
            server_name(),
            connector.clone(),
            config.watchdog(),
            ledger_metrics.clone(),
        );
        background.spawn(expiry.run());
        let patience = config.database.connect_timeout.0;
        let readers =
            Readers::new(connector, config.database.read_sessions, patience, ledger_metrics);

        let (stage, stop) = watch::channel(Stage::Serving);
        let lanes = vec![lanes, account_lanes];
        let readiness = readiness(stop.clone(), lanes.clone());
        background.spawn(sample(metrics.clone(), lanes, readers.clone()));
        let batchers = (transfers.clone(), accounts.clone());
        background.spawn(pressure::watch(
            readers.clone(),
            config.database.lanes,
            metrics.clone(),
            move |pressure| {
                batchers.0.set_pressure(pressure);
                batchers.1.set_pressure(pressure);
            },
        ));

        let limits = request_limits(config);
        let bodies =
            BodyBudget::new(config.queue.max_bytes.as_u64() as usize, limits.bulk_body_bytes);
        let dry_runs = DryRuns::new(readers.clone(), patience + config.watchdog());
        let api = Routes::new(Api {
            transfers: intake(&transfers, limits, &bodies, Some(dry_runs), &metrics.transfers),
            accounts: intake(&accounts, limits, &bodies, None, &metrics.accounts),
            readers,
            limits,
            metrics: metrics.clone(),
        });
        let connections = ConnectionLimits {
            connections: config.server.max_connections,
            requests: config.server.max_connections.saturating_mul(REQUESTS_PER_CONNECTION),
            write: config.server.write_timeout.0,
            idle: config.server.idle_timeout.0,
            header: config.server.header_timeout.0,
            client_header: config.server.client_header.as_ref().and_then(|name| name.parse().ok()),
            open: Some(metrics.http_connections),
        };
        // Operators must get in when callers have taken every place.
        let idle = connections.idle.min(ADMIN_IDLE_MAX);
        let few = ConnectionLimits { connections: 64, idle, open: None, ..connections.clone() };
        let listeners = vec![
            tokio::spawn(serve(api_listener, api, connections, stop.clone())),
            tokio::spawn(serve(admin_listener, admin::router(registry, readiness), few, stop)),
        ];
        tracing::info!(api = %api_address, admin = %admin_address, "serving");
        Ok(Self {
            api_address,
            admin_address,
            transfers,
            accounts,
            workers,
            background,
            stage,
            listeners,
        })
    }

    /// Where the API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where operators are answered.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Resolves if a worker ends, which it does only by a bug: nobody would be answered any more.
    pub async fn failed(&mut self) {
        match self.workers.join_next().await {
            Some(ended) => tracing::error!("a worker has ended: {ended:?}"),
            None => std::future::pending().await,
        }
    }

    /// As if a bug had ended a worker.
    #[cfg(test)]
    pub(crate) fn lose_a_worker(&mut self) {
        self.workers.spawn(async { panic!("a worker that dies") });
    }

    /// Stops: not ready, no new work, the queue flushed, what is in flight awaited, connections
    /// closed; within `limit`.
    pub async fn stop(mut self, limit: Duration) -> Stopped {
        let deadline = Instant::now() + limit;
        self.stage.send_replace(Stage::Draining);
        self.transfers.close();
        self.accounts.close();
        let workers = async { while self.workers.join_next().await.is_some() {} };
        let drained = timeout_at(deadline, workers).await.is_ok();
        // Ended first: a worker could still take back a batch, and nobody would be told of it.
        self.workers.shutdown().await;
        let abandoned = self.transfers.abandon() + self.accounts.abandon();
        self.stage.send_replace(Stage::Stopping);
        // What was given up still has to be told so.
        let rest = (deadline - Instant::now()).max(Duration::from_secs(1));
        let listeners = async {
            for listener in self.listeners.drain(..) {
                let _ = listener.await;
            }
        };
        let closed = timeout(rest, listeners).await.is_ok();
        self.background.abort_all();
        if drained && closed { Stopped::Drained } else { Stopped::TimedOut { abandoned } }
    }
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    listen(address).map_err(|source| StartError::Listen { key, address, source })
}

/// Where a listener really is, when port 0 was asked for.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// What bounds a request, as configured.
pub(crate) fn request_limits(config: &Config) -> RequestLimits {
    RequestLimits {
        body_bytes: config.server.max_body_bytes.as_u64() as usize,
        bulk_body_bytes: config.server.max_bulk_body_bytes.as_u64() as usize,
        body_timeout: config.server.body_timeout.0,
        timeout: config.server.request_timeout.0,
        timeout_max: config.server.max_request_timeout.0,
        items: config.batch.max_items,
    }
}

fn intake<R: Resource>(
    batcher: &Batcher<Requests<R>, Verdicts<R>>,
    limits: RequestLimits,
    bodies: &BodyBudget,
    dry_runs: Option<DryRuns>,
    outcomes: &IntCounterVec,
) -> Arc<Intake<R>> {
    Arc::new(Intake {
        batcher: batcher.clone(),
        limits,
        bodies: bodies.clone(),
        dry_runs,
        outcomes: Outcomes::new(outcomes),
    })
}
