//! Tables, functions and scripts of the contenders without Giro, and the checks of what they leave.

use super::cell::{Cell, Contender};
use tokio_postgres::Client;

/// Of the builtin script: it takes the ranges from the size of its tables, and accounts 100,000 to a branch.
const SHIPPED_ACCOUNTS_PER_BRANCH: u64 = 100_000;

/// Functions and tables.
pub(super) const SCHEMA: &str = include_str!("fixture.sql");

/// Rows of pgbench's accounts, as `pgbench -i` makes them, and of the application's.
pub(super) fn fill(accounts: u64, most_rows: u64) -> String {
    format!(
        "INSERT INTO pgbench_accounts (aid, bid, abalance, filler)
         SELECT n, (n - 1) / {SHIPPED_ACCOUNTS_PER_BRANCH} + 1, 0, '' FROM generate_series(1, {accounts}) AS n;
         INSERT INTO app_accounts (id, balance)
         SELECT n, 0 FROM generate_series(1, {}) AS n",
        accounts + most_rows
    )
}

/// The contended rows of TPC-B: so many branches, each with ten tellers, as `pgbench -i` makes them.
pub(super) fn contended(rows: u64) -> String {
    format!(
        "INSERT INTO pgbench_branches (bid, bbalance) SELECT n, 0 FROM generate_series(1, {rows}) AS n;
         INSERT INTO pgbench_tellers (tid, bid, tbalance)
         SELECT n, (n - 1) / 10 + 1, 0 FROM generate_series(1, {rows} * 10) AS n;
         ANALYZE pgbench_branches, pgbench_tellers"
    )
}

/// What is vacuumed before a cell, as pgbench does it with its own tables: all begin alike.
pub(super) fn vacuum(contender: Contender) -> &'static str {
    match contender {
        Contender::Tpcb | Contender::TpcbFunction | Contender::TpcbArrays => {
            "VACUUM pgbench_branches, pgbench_tellers"
        }
        Contender::ForUpdate => "VACUUM app_accounts",
        Contender::Giro
        | Contender::GiroBulk
        | Contender::GiroLargeBulk
        | Contender::GiroFunction
        | Contender::GiroCall => "VACUUM giro.account_state",
        Contender::Insert | Contender::InsertPk | Contender::Copy | Contender::Update => "",
    }
}

/// What pgbench runs.
pub(super) enum Script {
    Builtin(&'static str),
    Text(String),
}

/// The script of a cell. `shipped` is the text of pgbench's own.
pub(super) fn script(cell: &Cell, accounts: u64, shipped: &str) -> Result<Script, String> {
    let rows = cell.condition.rows;
    let ranges = format!(
        "\\set aid random(1, {accounts})\n\\set bid random(1, {rows})\n\\set tid random(1, {rows} * 10)\n"
    );
    let delta = "\\set delta random(-5000, 5000)\n";
    Ok(match cell.contender {
        Contender::Tpcb if rows * SHIPPED_ACCOUNTS_PER_BRANCH == accounts => {
            Script::Builtin("tpcb-like")
        }
        Contender::Tpcb => {
            let (_, rest) = shipped.split_once(delta).ok_or("pgbench ships another TPC-B")?;
            Script::Text(ranges + delta + rest)
        }
        Contender::TpcbFunction => {
            Script::Text(ranges + delta + "SELECT tpcb(:aid, :bid, :tid, :delta);\n")
        }
        Contender::ForUpdate => Script::Text(format!(
            "\\set debit random(1, {rows})
\\set credit random({rows} + 1, {rows} + {accounts})
\\set amount random(1, 1000)
BEGIN;
SELECT balance FROM app_accounts WHERE id IN (:debit, :credit) ORDER BY id FOR UPDATE;
UPDATE app_accounts SET balance = balance - :amount WHERE id = :debit;
UPDATE app_accounts SET balance = balance + :amount WHERE id = :credit;
INSERT INTO app_transfers (debit, credit, amount) VALUES (:debit, :credit, :amount);
COMMIT;
"
        )),
        other => return Err(format!("{} is not driven by pgbench", other.name())),
    })
}

/// Whether the balances are what was done to them; `done` transactions are known to have been committed. The
/// tables begin empty and with balances of 0.
pub(super) async fn check(client: &Client, contender: Contender, done: u64) -> Result<(), String> {
    let (sql, must_agree) = match contender {
        Contender::Tpcb | Contender::TpcbFunction | Contender::TpcbArrays => (
            "SELECT (SELECT count(*) FROM pgbench_history),
                    (SELECT coalesce(sum(delta), 0)::int8 FROM pgbench_history),
                    (SELECT sum(abalance)::int8 FROM pgbench_accounts),
                    (SELECT sum(tbalance)::int8 FROM pgbench_tellers),
                    (SELECT sum(bbalance)::int8 FROM pgbench_branches)",
            "the sums of deltas and of the balances of accounts, tellers and branches",
        ),
        Contender::ForUpdate => (
            "SELECT (SELECT count(*) FROM app_transfers),
                    (SELECT coalesce(sum(amount), 0)::int8 FROM app_transfers),
                    (SELECT coalesce(sum(balance), 0)::int8 FROM app_accounts WHERE balance > 0),
                    (SELECT coalesce(-sum(balance), 0)::int8 FROM app_accounts WHERE balance < 0)",
            "the sums of amounts, credits and debits",
        ),
        Contender::GiroFunction | Contender::GiroCall => (
            "SELECT (SELECT count(*) FROM giro.decisions WHERE reason IS NULL),
                    (SELECT coalesce(sum(amount), 0)::int8 FROM giro.decisions WHERE reason IS NULL),
                    (SELECT sum(debits_posted)::int8 FROM giro.account_state),
                    (SELECT sum(credits_posted)::int8 FROM giro.account_state)",
            "the sums of amounts, debits and credits",
        ),
        // giro bench reads the balances itself, and the floor counts its rows.
        _ => return Ok(()),
    };
    let row = client.query_one(sql, &[]).await.map_err(|error| format!("the check: {error}"))?;
    let numbers: Vec<i64> = (0..row.len()).map(|column| row.get(column)).collect();
    let (count, sums) = numbers.split_first().expect("a count");
    if sums.iter().any(|sum| *sum != sums[0]) {
        return Err(format!("{must_agree} do not agree: {sums:?}"));
    }
    if (*count as u64) < done {
        return Err(format!("{done} transfers were acknowledged, and {count} are there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::cell::Condition;
    use super::*;

    const SHIPPED: &str = "-- tpcb-like: <builtin: TPC-B (sort of)>\n\
        \\set aid random(1, 100000 * :scale)\n\\set delta random(-5000, 5000)\nBEGIN;\nEND;\n";

    fn of(contender: Contender, rows: u64) -> Script {
        let condition = Condition { delay_ms: 0, standby: false, rows };
        let cell = Cell { contender, clients: 1, condition, part_of_peak: None };
        script(&cell, 1_000_000, SHIPPED).unwrap()
    }

    #[test]
    fn tpc_b_is_pgbench_s_own_where_its_sizes_are() {
        assert!(matches!(of(Contender::Tpcb, 10), Script::Builtin("tpcb-like")));
        let Script::Text(text) = of(Contender::Tpcb, 100) else { panic!("its sizes are others") };
        let expected = "\\set aid random(1, 1000000)\n\\set bid random(1, 100)\n\
            \\set tid random(1, 100 * 10)\n\\set delta random(-5000, 5000)\nBEGIN;\nEND;\n";
        assert_eq!(text, expected);
    }
}
