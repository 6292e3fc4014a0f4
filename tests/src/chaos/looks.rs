//! Looks at the ledger twice a second while the storm lasts: in one snapshot all debits are all credits
//! (the bank test of Jepsen).

use super::alarm::Alarm;
use super::recorder::{Clock, Lines};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, IsolationLevel, NoTls};

/// The file of them in the directory of a run, a [`Look`] a line.
pub(super) const LOOKS: &str = "looks.jsonl";
const EVERY: Duration = Duration::from_millis(500);
/// A database that is halted does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The sums of one snapshot, as decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) at: u64,
    pub(super) debits_pending: String,
    pub(super) debits_posted: String,
    pub(super) credits_pending: String,
    pub(super) credits_posted: String,
}

impl Look {
    fn is_balanced(&self) -> bool {
        self.debits_pending == self.credits_pending && self.debits_posted == self.credits_posted
    }
}

/// How many looks there were, and how often the database could not be looked at.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Looked {
    /// Snapshots.
    pub looks: u64,
    /// The database did not answer.
    pub in_vain: u64,
    /// Snapshots in which debits were not credits.
    pub unbalanced: u64,
}

/// Looks while it lives.
pub(super) struct Looking {
    stop: watch::Sender<bool>,
    running: JoinSet<std::io::Result<Looked>>,
}

impl Looking {
    pub(super) fn start(
        directory: &Path,
        url: String,
        clock: Clock,
        alarm: Arc<Alarm>,
    ) -> std::io::Result<Self> {
        let mut lines = Lines::create(&directory.join(LOOKS))?;
        let (stop, mut stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut session = None;
            let mut looked = Looked::default();
            let mut tick = interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    _ = tick.tick() => {}
                    _ = stopped.changed() => return Ok(looked),
                }
                let Ok(Ok(look)) = timeout(PATIENCE, look(&url, &mut session, clock)).await else {
                    session = None;
                    looked.in_vain += 1;
                    continue;
                };
                looked.looks += 1;
                lines.add(&look)?;
                if !look.is_balanced() {
                    looked.unbalanced += 1;
                    alarm.raise(format!("C7: debits are not credits: {look:?}"));
                }
            }
        });
        Ok(Self { stop, running })
    }

    pub(super) async fn end(mut self) -> Result<Looked, String> {
        self.stop.send_replace(true);
        let ended = self.running.join_next().await.ok_or("nothing ran")?;
        let looked = ended.map_err(|error| error.to_string())?;
        looked.map_err(|error| format!("{LOOKS}: {error}"))
    }
}

async fn look(
    url: &str,
    session: &mut Option<Client>,
    clock: Clock,
) -> Result<Look, tokio_postgres::Error> {
    let client = match session {
        Some(client) if !client.is_closed() => client,
        _ => {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            session.insert(client)
        }
    };
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let sums = "SELECT sum(debits_pending)::text, sum(debits_posted)::text,
                       sum(credits_pending)::text, sum(credits_posted)::text FROM giro.accounts";
    let at = clock.now();
    let row = transaction.query_one(sums, &[]).await?;
    transaction.commit().await?;
    let sum = |column: usize| row.get::<_, Option<String>>(column).unwrap_or_default();
    Ok(Look {
        at,
        debits_pending: sum(0),
        debits_posted: sum(1),
        credits_pending: sum(2),
        credits_posted: sum(3),
    })
}
