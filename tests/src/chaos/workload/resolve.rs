//! Afterwards: every id of which nobody was told what became of it is read, and then sent again.

use super::Shared;
use super::caller::{ask, is_definite};
use super::connection::Connection;
use crate::chaos::Target;
use fastrand::Rng;
use giro_checker::history::{Answer, Asked, Item, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// Who resolves: callers of their own.
const CALLERS: std::ops::Range<u32> = 1_000_000..1_000_064;
const DEADLINE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How what was unknown was resolved, by id.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub struct Resolved {
    /// Ids that somebody was left in doubt about and nobody was told of.
    pub in_doubt: u64,
    /// It had been applied.
    pub applied: u64,
    /// It had been refused for good.
    pub refused: u64,
    /// It had never run.
    pub absent: u64,
    /// How long all of it took.
    pub seconds: f64,
}

#[derive(Default)]
struct Found {
    applied: AtomicU64,
    refused: AtomicU64,
    absent: AtomicU64,
}

/// Resolves everything within a time, or says what is left.
pub(super) async fn resolve(
    shared: &Arc<Shared>,
    seed: u64,
    limit: Duration,
) -> Result<Resolved, String> {
    let began = Instant::now();
    let requests = shared.memory().unresolved();
    let count = requests.len();
    let queue = Arc::new(std::sync::Mutex::new(requests));
    let found = Arc::new(Found::default());
    let mut callers = JoinSet::new();
    for caller in CALLERS {
        let (shared, queue, found) = (shared.clone(), queue.clone(), found.clone());
        let random = Rng::with_seed(seed ^ u64::from(caller));
        callers
            .spawn(async move { one_after_another(&shared, caller, random, &queue, &found).await });
    }
    while let Some(ended) = timeout_at(began + limit, callers.join_next()).await.map_err(|_| {
        let left = queue.lock().map_or(0, |queue| queue.len());
        format!("liveness: of {count} requests in doubt {left} were not begun to be resolved in {limit:?}")
    })? {
        ended.map_err(|error| format!("a caller of the final reads: {error}"))??;
    }
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (applied, refused, absent) =
        (read(&found.applied), read(&found.refused), read(&found.absent));
    Ok(Resolved {
        in_doubt: applied + refused + absent,
        applied,
        refused,
        absent,
        seconds: began.elapsed().as_secs_f64(),
    })
}

async fn one_after_another(
    shared: &Shared,
    caller: u32,
    mut random: Rng,
    queue: &std::sync::Mutex<Vec<Vec<Item>>>,
    found: &Found,
) -> Result<(), String> {
    loop {
        let request = queue.lock().map_err(|error| error.to_string())?.pop();
        let Some(items) = request else { return Ok(()) };
        let target = {
            let targets = shared.targets.borrow();
            targets.get(random.usize(0..targets.len())).cloned().ok_or("no server")?
        };
        let mut connection = Connection::default();
        for item in &items {
            if shared.memory().is_decided(item.id) {
                continue;
            }
            let asked = Asked::Transfer(item.id);
            match until_definite(shared, (caller, &mut connection), &target, asked).await? {
                Answer::Absent => &found.absent,
                Answer::Told(told) if matches!(told[..], [Told::Applied(_)]) => &found.applied,
                _ => &found.refused,
            }
            .fetch_add(1, Ordering::Relaxed);
        }
        let asked = Asked::Transfers(items);
        until_definite(shared, (caller, &mut connection), &target, asked).await?;
    }
}

/// Asks until there is an answer; the time for all of it is bounded by who waits for this.
async fn until_definite(
    shared: &Shared,
    (caller, connection): (u32, &mut Connection),
    target: &Target,
    asked: Asked,
) -> Result<Answer, String> {
    loop {
        let answer = ask(shared, (caller, &mut *connection), target, &asked, DEADLINE).await?;
        if is_definite(&answer) {
            return Ok(answer);
        }
        sleep(PAUSE).await;
    }
}
