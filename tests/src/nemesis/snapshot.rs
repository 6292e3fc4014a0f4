//! What holds vacuum back, and vacuum.

use super::Wound;
use crate::TestDatabase;
use crate::chaos::{Stage, Witness};
use fastrand::Rng;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_postgres::Client;

/// Between two rounds of VACUUM, so that it is not all that the machine does.
const PAUSE: Duration = Duration::from_millis(100);

/// A snapshot that a session keeps for as long as this lives.
pub struct OldSnapshot {
    holder: Client,
}

impl OldSnapshot {
    /// Takes one.
    pub async fn take(database: &TestDatabase) -> Self {
        let holder = database.superuser().await;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM giro.batches";
        holder.batch_execute(begin).await.expect("a snapshot");
        Self { holder }
    }

    /// How many transactions have begun since it was taken, as PostgreSQL says.
    pub async fn age(&self, database: &TestDatabase) -> i64 {
        let process = self.process().await;
        let age = "SELECT max(age(backend_xmin))::bigint FROM pg_stat_activity WHERE pid = ";
        database.number(&format!("{age}{process}")).await
    }

    async fn process(&self) -> i32 {
        self.holder.query_one("SELECT pg_backend_pid()", &[]).await.expect("its process").get(0)
    }
}

/// Freezes every row of every table again and again, until this is dropped or stopped.
pub struct Freezing {
    stop: oneshot::Sender<()>,
    rounds: tokio::task::JoinHandle<u64>,
}

impl Freezing {
    /// Begins.
    pub async fn start(database: &TestDatabase) -> Self {
        let session = database.superuser().await;
        let (stop, mut stopped) = oneshot::channel();
        let rounds = tokio::spawn(async move {
            let mut rounds = 0;
            while let Err(oneshot::error::TryRecvError::Empty) = stopped.try_recv() {
                // Another fault may end the session.
                if session.batch_execute("VACUUM (FREEZE)").await.is_err() {
                    break;
                }
                rounds += 1;
                sleep(PAUSE).await;
            }
            rounds
        });
        Self { stop, rounds }
    }

    /// Ends after the round that is under way; how many there were.
    pub async fn stop(self) -> u64 {
        let _ = self.stop.send(());
        self.rounds.await.expect("the rounds")
    }
}

/// Up to which transaction every row of the ledger's tables is frozen.
pub async fn frozen_up_to(database: &TestDatabase) -> i64 {
    database.number(FROZEN).await
}

const FROZEN: &str = "SELECT txid_current() - max(age(relfrozenxid)) FROM pg_class
                       WHERE relnamespace = 'giro'::regnamespace AND relkind = 'r'";

pub(super) async fn hold(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let snapshot = OldSnapshot::take(&stage.database).await;
    let process = snapshot.process().await;
    let age = format!("SELECT age(backend_xmin) FROM pg_stat_activity WHERE pid = {process}");
    let before: i32 = witness.see("the snapshot", &age).await.get(0);
    Wound::healed_by(move |_| {
        Box::pin(async move {
            // Another fault may have ended the session.
            let after = witness.glimpse(&age, Duration::ZERO).await.map(|row| row.get::<_, i32>(0));
            drop(snapshot);
            let after =
                after.map_or("ended with its session".into(), |age| format!("was {age} old"));
            format!("backend {process} held a snapshot, {before} transactions old, which {after}")
        })
    })
}

pub(super) async fn freeze(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let before: i64 = witness.see("how far it is frozen", FROZEN).await.get(0);
    let freezing = Freezing::start(&stage.database).await;
    let further = format!("SELECT frozen FROM ({FROZEN}) AS t (frozen) WHERE frozen > {before}");
    let after: i64 = witness.see("more is frozen", &further).await.get(0);
    Wound::healed_by(move |_| {
        Box::pin(async move {
            let rounds = freezing.stop().await;
            format!("{rounds} rounds; frozen up to transaction {before}, then {after}")
        })
    })
}
