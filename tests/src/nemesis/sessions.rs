//! Sessions that PostgreSQL ends or does not let in.

use super::Wound;
use super::moments::{self, Counting};
use crate::chaos::witness::PATIENCE;
use crate::chaos::{LogFrom, Stage, Witness};
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Ends every session of the servers; how many there were.
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name LIKE 'giro%'";

pub(super) async fn terminate(stage: &mut Stage, random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let log = LogFrom::now(stage.primary());
    let counting = Counting::cut_off(stage).await;
    let moment = moments::words(moments::backend(&mut witness, "true").await);
    // PostgreSQL may be recovering, after another fault.
    let some = format!("{TERMINATE} HAVING count(*) > 0");
    let ended = witness.see("a session to end", &some).await.get(0);
    let ended = Arc::new(AtomicI64::new(ended));
    let line = log.line("terminating connection due to administrator command").await;
    let again = {
        let (ended, pause) = (ended.clone(), Duration::from_millis(random.u64(150..600)));
        async move {
            loop {
                sleep(pause).await;
                ended.fetch_add(terminated(&mut witness).await, Ordering::Relaxed);
            }
        }
    };
    // Ends when it is dropped.
    let mut repeating = JoinSet::new();
    repeating.spawn(again);
    Wound::judged_by(move |stage| {
        Box::pin(async move {
            repeating.shutdown().await;
            let ended = ended.load(Ordering::Relaxed);
            let evidence = format!("{ended} sessions were terminated, the first {moment}; {line}");
            counting.hit(stage, evidence).await
        })
    })
}

async fn terminated(witness: &mut Witness) -> i64 {
    match witness.look(TERMINATE).await.as_deref() {
        Some([row]) => row.get(0),
        _ => 0,
    }
}

pub(super) async fn exhaust(stage: &mut Stage, _random: &mut Rng) -> Wound {
    let mut witness = Witness::of(stage.primary());
    let url = stage.primary().url("giro_owner", "giro");
    let own = "SELECT count(*) FROM pg_stat_activity
                WHERE usename = 'giro_app' AND backend_type = 'client backend'";
    let mut holders = Vec::new();
    let started = Instant::now();
    let refused = loop {
        let refused = take_all(&url, &mut holders).await;
        let left: i64 = witness.see("a count of sessions", own).await.get(0);
        if left == 0 {
            break refused;
        }
        assert!(started.elapsed() < PATIENCE, "the servers still have {left} sessions: {refused}");
        terminated(&mut witness).await;
    };
    Wound::healed_by(move |_| {
        Box::pin(async move {
            let taken = holders.len();
            drop(holders);
            format!(
                "{taken} other sessions, none of the servers; a further one was refused: {refused}"
            )
        })
    })
}

/// Opens sessions until PostgreSQL has no connection left; its words.
async fn take_all(url: &str, holders: &mut Vec<Client>) -> String {
    let started = Instant::now();
    loop {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((session, connection)) => {
                tokio::spawn(connection);
                holders.push(session);
            }
            Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => {
                let said = error.as_db_error().expect("PostgreSQL's own word");
                return format!("{} {}", said.code().code(), said.message());
            }
            // It may be starting, after another fault.
            Err(error) => assert!(started.elapsed() < PATIENCE, "no session: {error}"),
        }
    }
}
