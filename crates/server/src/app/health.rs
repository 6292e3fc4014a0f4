//! Whether the server should get traffic, and what it says about its sessions.

use crate::config::DatabaseUrl;
use crate::http::admin::Readiness;
use crate::http::serve::Stage;
use crate::metrics::Metrics;
use giro_ledger::{ConnectError, Connector, Readers};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// What keeps one lane from a session, if it has none.
pub(super) type Trouble = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Looks at the database before anything is served. Unreachable is waited for; what no waiting
/// mends is an error.
pub(super) async fn greet(connector: &Connector, url: &DatabaseUrl) -> Result<(), ConnectError> {
    match connector.probe().await {
        Ok(peer) => {
            let kept = &peer.durability;
            tracing::info!(
                database = %url,
                postgresql = peer.version,
                fsync = kept.fsync,
                synchronous_commit = kept.synchronous_commit,
                full_page_writes = kept.full_page_writes,
                "database"
            );
            if peer.role_is_privileged {
                tracing::warn!(
                    "the server's role may do more than it needs: log in as a member of giro_server \
                     that owns nothing"
                );
            }
            Ok(())
        }
        Err(error) if error.may_pass() => {
            tracing::warn!(database = %url, "the database does not answer yet: {error}");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Ready means: a transfer that came now could be applied.
pub(super) fn readiness(stage: watch::Receiver<Stage>, lanes: Vec<Trouble>) -> Readiness {
    Arc::new(move || {
        if *stage.borrow() != Stage::Serving {
            return Some("draining".into());
        }
        let down: Vec<String> = lanes.iter().filter_map(|trouble| trouble()).collect();
        let why = down.first()?;
        Some(format!("{} of {} lanes have no database session: {why}", down.len(), lanes.len()))
    })
}

/// Keeps the gauges that nothing else moves.
pub(super) async fn sample(metrics: Metrics, lanes: Vec<Trouble>, readers: Readers) {
    metrics.lanes.set(lanes.len() as i64);
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        metrics
            .lanes_connected
            .set(lanes.iter().filter(|trouble| trouble().is_none()).count() as i64);
        let (open, idle) = readers.sessions();
        metrics.read_sessions.with_label_values(&["idle"]).set(i64::from(idle));
        metrics
            .read_sessions
            .with_label_values(&["busy"])
            .set(i64::from(open.saturating_sub(idle)));
    }
}
