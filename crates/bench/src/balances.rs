//! The balances of a run's accounts, read from the database and from the server.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::types::{ToSql, Type};

use crate::BenchError;
use crate::accounts::Accounts;
use crate::books::Balances;
use crate::database::{Database, column};

const DOING: &str = "read the balances";

/// Accounts in one query.
const CHUNK: u32 = 10_000;

/// How many hot accounts are read from the server at most, and how many others when none is hot.
const HOT_OVER_HTTP: u32 = 1000;
const OTHERS_OVER_HTTP: u32 = 10;

/// LATERAL and OFFSET 0: one look at the index for each account. A join of ten thousand with a
/// million would be planned as a scan of the million.
const BY_IDS: &str = "SELECT wanted.position, b.debits_pending, b.debits_posted, \
           b.credits_pending, b.credits_posted \
      FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, position), \
           LATERAL (SELECT debits_pending::int8, debits_posted::int8, credits_pending::int8, \
                           credits_posted::int8 \
                      FROM giro.balances WHERE ledger = $1 AND account = wanted.id OFFSET 0) b";

/// A server that draws no batch for so long, and is at work on none, has nothing left.
const QUIET: Duration = Duration::from_millis(300);
/// What keeps it busy for longer is another's load, which may be on other accounts.
const QUIET_WITHIN: Duration = Duration::from_secs(5);

/// Batches drawn so far, and sessions of the server with one that may wait for a lock before it draws.
const AT_WORK: &str = "SELECT giro.settled_seq(), count(*) FROM pg_stat_activity \
    WHERE application_name LIKE 'giro lane%' AND datname = current_database() AND state <> 'idle'";

/// Waits until the server is done with what a run that was stopped left behind in its queue.
pub(crate) async fn until_quiet(database: &Database) -> Result<(), BenchError> {
    let doing = "see whether the server is at rest";
    let (began, mut before) = (Instant::now(), None);
    while began.elapsed() < QUIET_WITHIN {
        let row = database.rows(doing, AT_WORK, &[]).await?.remove(0);
        let (drawn, at_work): (i64, i64) = (column(&row, 0, doing)?, column(&row, 1, doing)?);
        if at_work == 0 && before == Some(drawn) {
            break;
        }
        before = (at_work == 0).then_some(drawn);
        sleep(QUIET).await;
    }
    Ok(())
}

/// Reads the balances of every account from the database as of one moment: a transfer in doubt
/// may be applied while they are read.
pub(crate) async fn in_database(
    database: &Database,
    accounts: &Accounts,
) -> Result<Vec<Balances>, BenchError> {
    database.execute(DOING, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let ledger = accounts.ids.ledger as i32;
    let mut balances = Vec::with_capacity(accounts.len() as usize);
    for first in (0..accounts.len()).step_by(CHUNK as usize) {
        let end = accounts.len().min(first.saturating_add(CHUNK));
        let ids: Vec<_> = (first..end).map(|number| accounts.id(number)).collect();
        let wanted: [(&(dyn ToSql + Sync), Type); 2] =
            [(&ledger, Type::INT4), (&ids, Type::UUID_ARRAY)];
        let mut found = vec![None; ids.len()];
        for row in database.rows(DOING, BY_IDS, &wanted).await? {
            let value = |index| column::<i64>(&row, index, DOING);
            found[value(0)? as usize - 1] = Some([value(1)?, value(2)?, value(3)?, value(4)?]);
        }
        for (id, found) in ids.into_iter().zip(found) {
            balances.push(found.ok_or(BenchError::AccountMissing { id })?);
        }
    }
    database.execute(DOING, "COMMIT").await?;
    Ok(balances)
}

/// Reads the balances of the hot accounts, or else of a few others, from the server.
pub(crate) async fn over_http(accounts: &Accounts) -> Result<Vec<(u32, Balances)>, BenchError> {
    let most = if accounts.hot > 0 { HOT_OVER_HTTP.min(accounts.hot) } else { OTHERS_OVER_HTTP };
    accounts.read(0..most.min(accounts.len())).await
}
