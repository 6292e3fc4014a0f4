//! What is in the tables after a program, against the model.

use super::subject::{Subject, id};
use giro_checker::model::{Account, Balances, Change, Key, Model, State};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;
use tokio_postgres::Row;

const MICROSECONDS: &str = "(extract(epoch FROM %) * 1000000)::bigint";

/// Compares accounts, their histories, open holds and the numbers of decisions.
pub(super) async fn states(
    subject: &Subject,
    model: &Model,
    base: u32,
) -> Result<(), TestCaseError> {
    let superuser = subject.database.superuser().await;
    let ledgers = format!("ledger IN ({base}, {base} + 1)");
    let micros = |column: &str| MICROSECONDS.replace('%', column);
    let balances =
        "debits_pending::text, debits_posted::text, credits_pending::text, credits_posted::text";

    let sql = format!(
        "SELECT {balances}, version, ledger, id::text, 'closed' = ANY(flags), {}
           FROM giro.accounts WHERE {ledgers}",
        micros("created_at")
    );
    let mut accounts = BTreeMap::new();
    for row in superuser.query(&sql, &[]).await.unwrap() {
        let state = (read(&row), row.get::<_, i64>(4), row.get::<_, bool>(7), row.get::<_, i64>(8));
        accounts.insert(key(&row, 5), state);
    }
    let state = |a: &Account| (a.balances, a.version, a.closed, a.created_at);
    let expected = model.accounts.iter().map(|(key, a)| (*key, state(a))).collect();
    prop_assert_eq!(accounts, expected, "accounts");

    let sql = format!(
        "SELECT {balances}, version, ledger, account::text, {}
           FROM giro.account_balances WHERE {ledgers} ORDER BY seq",
        micros("created_at")
    );
    let mut histories: BTreeMap<Key, Vec<Change>> = BTreeMap::new();
    for row in superuser.query(&sql, &[]).await.unwrap() {
        let change = Change { version: row.get(4), balances: read(&row), at: row.get(7) };
        histories.entry(key(&row, 5)).or_default().push(change);
    }
    let kept = model.accounts.iter().filter(|(_, account)| !account.history.is_empty());
    let expected = kept.map(|(key, account)| (*key, account.history.clone())).collect();
    prop_assert_eq!(histories, expected, "histories");

    // To the second: PostgreSQL's intervals of centuries are no more exact.
    let sql = format!(
        "SELECT ledger, id::text, round(extract(epoch FROM expires_at))::bigint
           FROM giro.open_holds WHERE {ledgers} ORDER BY ledger, id"
    );
    let rows = superuser.query(&sql, &[]).await.unwrap();
    let open: Vec<_> = rows.iter().map(|row| (key(row, 0), row.get::<_, i64>(2))).collect();
    let expected: Vec<_> = model
        .holds()
        .iter()
        .filter(|hold| hold.state == State::Open)
        .filter_map(|hold| Some((hold.key, ((hold.expires_at? + 500_000) / 1_000_000) as i64)))
        .collect();
    prop_assert_eq!(open, expected, "holds that will expire");

    // Ledger 0 has ids that were burnt, and no more.
    let counts = format!(
        "SELECT count(*) FILTER (WHERE reason IS NULL), count(reason) FROM giro.decisions
          WHERE {ledgers}
             OR ledger = 0 AND replace(left(id::text, 18), '-', '') = lpad(to_hex({base}), 16, '0')"
    );
    let row = superuser.query_one(&counts, &[]).await.unwrap();
    let (applied, burnt) = model.decided();
    prop_assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (applied as i64, burnt as i64));
    Ok(())
}

fn key(row: &Row, column: usize) -> Key {
    (row.get::<_, i32>(column) as u32, id(row.get(column + 1)))
}

fn read(row: &Row) -> Balances {
    let amount = |column: usize| row.get::<_, &str>(column).parse().expect("an amount");
    Balances {
        debits_pending: amount(0),
        debits_posted: amount(1),
        credits_pending: amount(2),
        credits_posted: amount(3),
    }
}
