//! Sums over each ledger, which the database adds up exactly, and accounts that are half there.

use super::check::Check;
use super::report::{Finding, Findings};
use crate::Id;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

/// Sums of each ledger.
pub(super) const SUMS_SQL: &str = "
SELECT ledger, count(*), sum(debits_pending)::text, sum(credits_pending)::text,
       sum(debits_posted)::text, sum(credits_posted)::text
  FROM giro.balances GROUP BY ledger ORDER BY ledger";

/// Accounts that are in one of the two tables that hold them.
pub(super) const HALVES_SQL: &str = "
SELECT b.ledger, b.account
  FROM giro.balances b
  LEFT JOIN giro.accounts a ON a.ledger = b.ledger AND a.id = b.account
 WHERE a.id IS NULL";

/// Compares the sums of a ledger. Returns how many accounts it has.
pub(super) fn sums(row: &Row, findings: &mut Findings) -> Result<i64, Error> {
    findings.looked_at(Check::DebitsEqualCredits, 1);
    let ledger = row.try_get(0)?;
    for (what, debits, credits) in
        [("pending debits and credits differ", 2, 3), ("posted debits and credits differ", 4, 5)]
    {
        let (debits, credits): (&str, &str) = (row.try_get(debits)?, row.try_get(credits)?);
        if debits != credits {
            findings.add(Check::DebitsEqualCredits, || {
                let found = format!("debits {debits}, credits {credits}");
                Finding::new(what).ledger(ledger).expected("the same").found(found)
            });
        }
    }
    row.try_get(1)
}

/// A row of the result is a finding.
pub(super) fn halves(row: &Row, findings: &mut Findings) -> Result<(), Error> {
    let (ledger, account) = (row.try_get(0)?, row.try_get::<_, Uuid>(1)?);
    findings.add(Check::AccountsExist, || {
        let what = "the account has balances, but no reference and metadata";
        Finding::new(what).ledger(ledger).account(Id(account))
    });
    Ok(())
}
