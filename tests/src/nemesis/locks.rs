//! Locks that another session holds.

use super::Wound;
use crate::chaos::{Stage, Witness};
use fastrand::Rng;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

/// How long the lock itself may have to be waited for.
const TAKEN: Duration = Duration::from_secs(30);

pub(super) async fn lock_accounts(stage: &mut Stage, random: &mut Rng) -> Wound {
    let accounts = random.u8(1..=4);
    // In the order in which every batch locks them, so that nobody waits in a circle.
    let lock = format!(
        "SELECT FROM giro.account_state
          WHERE (ledger, id) IN (SELECT ledger, id FROM giro.account_state
                                  ORDER BY version DESC LIMIT {accounts})
          ORDER BY ledger, id FOR UPDATE"
    );
    held(stage, format!("the rows of the {accounts} busiest accounts"), &lock).await
}

pub(super) async fn lock_table(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let lock = "LOCK TABLE giro.account_state IN ACCESS EXCLUSIVE MODE";
    held(stage, "giro.account_state".into(), lock).await
}

/// A session that takes a lock and keeps it until it is healed, and a batch that waits for it.
async fn held(stage: &mut Stage, what: String, lock: &str) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let url = stage.primary().url("postgres", "giro");
    let taken = timeout(TAKEN, take(&url, lock)).await;
    let (holder, session) = taken.unwrap_or_else(|_| panic!("no lock on {what} after {TAKEN:?}"));
    let since = Instant::now();
    let blocked = format!(
        "SELECT format('%s (backend %s) waited for %s %s', application_name, pid, wait_event_type,
                       wait_event)
           FROM pg_stat_activity
          WHERE application_name LIKE 'giro%' AND {session} = ANY (pg_blocking_pids(pid))
            AND wait_event_type = 'Lock'"
    );
    let waits: String = witness.see("a session that waits for the lock", &blocked).await.get(0);
    Wound::healed_by(move |_| {
        Box::pin(async move {
            // With another fault, the session may be gone and its lock with it.
            let _ = timeout(Duration::from_secs(2), holder.batch_execute("ROLLBACK")).await;
            let held = since.elapsed();
            format!("backend {session} held {what} for {held:.1?}; {waits}")
        })
    })
}

/// Takes a lock, and says whose it is.
async fn take(url: &str, lock: &str) -> (Client, i32) {
    loop {
        if let Ok(taken) = try_take(url, lock).await {
            return taken;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn try_take(url: &str, lock: &str) -> Result<(Client, i32), tokio_postgres::Error> {
    let (holder, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    let session = holder.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    holder.batch_execute(&format!("BEGIN; {lock}")).await?;
    Ok((holder, session))
}
