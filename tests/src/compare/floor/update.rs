//! The accounts of transfers, updated without any rule.

use super::{Row, options};
use giro_ledger::Amount;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

/// A copy of the accounts; other cells of the same database count on the balances of the original.
const ACCOUNTS: &str = "
    CREATE TABLE floor.account_state (LIKE giro.account_state INCLUDING ALL) %;
    INSERT INTO floor.account_state SELECT * FROM giro.account_state ORDER BY ctid;
    ANALYZE floor.account_state";
/// By index, as the function has it.
const PLANNER: &str = "
    SET plan_cache_mode = force_generic_plan; SET jit = off;
    SET enable_seqscan = off; SET enable_bitmapscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off";
const UPDATE: &str = "
    UPDATE floor.account_state AS s
       SET debits_posted = s.debits_posted + u.debits, credits_posted = s.credits_posted + u.credits,
           version = s.version + u.transfers, changed_at = clock_timestamp(),
           changed_at_before = s.changed_at, last_transfer = u.transfer,
           last_transfer_before = s.last_transfer
      FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::numeric[]) AS debits,
                   unnest($3::numeric[]) AS credits, unnest($4::bigint[]) AS transfers,
                   unnest($5::uuid[]) AS transfer) AS u
     WHERE s.ledger = ANY (ARRAY[1]) AND s.id = u.id";

pub(super) async fn make(superuser: &Client) -> Result<Statement, Error> {
    let accounts = ACCOUNTS.replace('%', &options(superuser, "account_state").await?);
    for statement in [&accounts, "VACUUM floor.account_state", "CHECKPOINT", PLANNER] {
        superuser.batch_execute(statement).await?;
    }
    superuser.prepare(UPDATE).await
}

/// What a batch does to an account.
#[derive(Default)]
struct Moved {
    /// Of its debits and of its credits.
    sums: [u128; 2],
    transfers: i64,
    last: Uuid,
}

/// The accounts in ascending order, each once.
pub(super) async fn write(
    client: &Client,
    statement: &Statement,
    rows: &[Row],
) -> Result<(), Error> {
    let mut accounts: BTreeMap<Uuid, Moved> = BTreeMap::new();
    for Row { id, debit, credit, amount: Amount(amount), .. } in rows {
        for (side, account) in [debit, credit].into_iter().enumerate() {
            let moved = accounts.entry(*account).or_default();
            moved.sums[side] += amount;
            (moved.transfers, moved.last) = (moved.transfers + 1, *id);
        }
    }
    let ids: Vec<_> = accounts.keys().copied().collect();
    let sums = |side: usize| accounts.values().map(move |moved| Amount(moved.sums[side]));
    let (debits, credits): (Vec<_>, Vec<_>) = (sums(0).collect(), sums(1).collect());
    let (transfers, last): (Vec<_>, Vec<_>) =
        accounts.values().map(|moved| (moved.transfers, moved.last)).unzip();
    client.execute(statement, &[&ids, &debits, &credits, &transfers, &last]).await.map(drop)
}
