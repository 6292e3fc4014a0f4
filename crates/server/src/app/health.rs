//! Whether the server should get traffic, and what it says about its sessions.

use crate::config::DatabaseUrl;
use crate::http::admin::Readiness;
use crate::http::serve::Stage;
use crate::metrics::Metrics;
use giro_batcher::{BreakerState, Health};
use giro_ledger::{ConnectError, Connector, Readers};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// The lanes of one batcher.
#[derive(Clone)]
pub(super) struct Lanes {
    pub(super) count: usize,
    /// And why one of them could not connect lately.
    pub(super) health: Arc<dyn Fn() -> (Health, Option<String>) + Send + Sync>,
}

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

/// Ready means: a transfer that came now could be applied, if by fewer lanes than there are.
pub(super) fn readiness(stage: watch::Receiver<Stage>, batchers: Vec<Lanes>) -> Readiness {
    Arc::new(move || {
        if *stage.borrow() != Stage::Serving {
            return Some("draining".into());
        }
        let count: usize = batchers.iter().map(|lanes| lanes.count).sum();
        let health: Vec<_> = batchers.iter().map(|lanes| (lanes.health)()).collect();
        let up: usize = health.iter().map(|(health, _)| health.lanes_up).sum();
        let works = |health: &Health| health.lanes_up > 0 && health.breaker != BreakerState::Open;
        if health.iter().all(|(health, _)| works(health)) {
            return None;
        }
        let why = health.into_iter().find_map(|(_, why)| why);
        let why = why.unwrap_or_else(|| "they are being opened".into());
        Some(format!("{} of {count} lanes have no database session: {why}", count - up))
    })
}

/// Keeps the gauges that nothing else moves.
pub(super) async fn sample(metrics: Metrics, batchers: Vec<Lanes>, readers: Readers) {
    metrics.lanes.set(batchers.iter().map(|lanes| lanes.count as i64).sum());
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let up = batchers.iter().map(|lanes| (lanes.health)().0.lanes_up as i64).sum();
        metrics.lanes_connected.set(up);
        let (open, idle) = readers.sessions();
        metrics.read_sessions.with_label_values(&["idle"]).set(i64::from(idle));
        metrics
            .read_sessions
            .with_label_values(&["busy"])
            .set(i64::from(open.saturating_sub(idle)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of batchers with this many lanes, so many of them up.
    fn said(stage: Stage, batchers: &[(usize, usize, BreakerState)]) -> Option<String> {
        let lanes = batchers.iter().map(|&(count, lanes_up, breaker)| {
            let health = move || (Health { lanes_up, breaker }, Some("refused".to_owned()));
            Lanes { count, health: Arc::new(health) }
        });
        readiness(watch::channel(stage).1, lanes.collect())()
    }

    #[test]
    fn it_is_ready_while_each_batcher_has_a_lane_and_no_breaker_is_open() {
        use BreakerState::{Closed, HalfOpen, Open};
        let serving = |batchers: &[_]| said(Stage::Serving, batchers);
        assert_eq!(serving(&[(8, 8, Closed), (1, 1, Closed)]), None);
        assert_eq!(serving(&[(8, 7, Closed), (1, 1, Closed)]), None);
        assert_eq!(serving(&[(8, 1, HalfOpen), (1, 1, Closed)]), None);
        for batchers in [
            [(8, 0, Closed), (1, 1, Closed)],
            [(8, 8, Closed), (1, 0, Closed)],
            [(8, 3, Open), (1, 1, Closed)],
        ] {
            let up: usize = batchers.iter().map(|(_, up, _)| up).sum();
            let why = format!("{} of 9 lanes have no database session: refused", 9 - up);
            assert_eq!(serving(&batchers), Some(why));
        }
        assert_eq!(said(Stage::Draining, &[(1, 1, Closed)]).as_deref(), Some("draining"));
    }
}
