//! The balances of a run's accounts, read from the database and from the server.

use tokio_postgres::types::{ToSql, Type};

use crate::BenchError;
use crate::accounts::Accounts;
use crate::books::Balances;
use crate::database::{Database, column};

const DOING: &str = "read the balances";

/// Accounts in one query.
const CHUNK: u32 = 10_000;

/// How many accounts are read from the server when none is hot.
const OTHERS_OVER_HTTP: u32 = 10;

const BY_IDS: &str = "SELECT wanted.position, b.debits_pending::int8, b.debits_posted::int8, \
           b.credits_pending::int8, b.credits_posted::int8 \
      FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, position) \
      JOIN giro.balances b ON b.ledger = $1 AND b.account = wanted.id";

/// Reads the balances of every account from the database, some thousand at a time: as of about
/// one moment only when nobody sends transfers.
pub(crate) async fn in_database(
    database: &Database,
    accounts: &Accounts,
) -> Result<Vec<Balances>, BenchError> {
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
    Ok(balances)
}

/// Reads the balances of the hot accounts, or else of a few others, from the server.
pub(crate) async fn over_http(accounts: &Accounts) -> Result<Vec<(u32, Balances)>, BenchError> {
    let count = if accounts.hot > 0 { accounts.hot } else { OTHERS_OVER_HTTP.min(accounts.len()) };
    accounts.read(0..count).await
}
