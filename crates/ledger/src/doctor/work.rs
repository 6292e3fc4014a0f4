//! What the ledger itself shows: hot accounts, holds that stay, deadlocks.

use super::check::Check;
use super::patient::Patient;
use super::report::{Finding, Severity};
use super::sessions::span;
use tokio_postgres::types::Type;

/// The last transfers of each of the first ledgers, by the index that lists them: at most 16 × 5,000.
const ACCOUNTS: &str = "
WITH RECURSIVE ledgers (ledger) AS (
    (SELECT ledger FROM giro.balances ORDER BY ledger LIMIT 1)
    UNION ALL
    SELECT (SELECT b.ledger FROM giro.balances b WHERE b.ledger > l.ledger ORDER BY b.ledger LIMIT 1)
      FROM ledgers l WHERE l.ledger IS NOT NULL
), recent AS MATERIALIZED (
    SELECT t.* FROM (SELECT ledger FROM ledgers WHERE ledger IS NOT NULL LIMIT 16) AS l
     CROSS JOIN LATERAL (
           SELECT ledger, seq >> 16 AS batch, debit_account, credit_account FROM giro.transfers t
            WHERE t.ledger = l.ledger AND t.seq > 0 ORDER BY t.seq DESC LIMIT 5000) AS t
), totals AS (
    SELECT ledger, count(DISTINCT batch) AS batches, max(batch) AS newest FROM recent GROUP BY ledger
)
SELECT ledger, e.account::text, count(DISTINCT batch), count(*), batches, newest
  FROM recent JOIN totals USING (ledger)
 CROSS JOIN LATERAL (VALUES (debit_account), (credit_account)) AS e (account)
 WHERE batches >= $1
 GROUP BY ledger, e.account, batches, newest
HAVING count(DISTINCT batch) >= $2 * batches
 ORDER BY 3 DESC, 4 DESC LIMIT 5";

/// At most so many are counted.
const OVERDUE_MAX: i64 = 10_000;
const OVERDUE: &str = "
SELECT count(*), extract(epoch FROM clock_timestamp() - min(expires_at))::float8
  FROM (SELECT expires_at FROM giro.open_holds
         WHERE expires_at < clock_timestamp() - $1 * interval '1 s'
         ORDER BY expires_at LIMIT $2) AS o";

const DEADLOCKS: &str = "
SELECT deadlocks, coalesce(stats_reset::text, 'the beginning') FROM pg_stat_database
 WHERE datname = current_database()";

pub(super) async fn look(patient: &mut Patient<'_>) {
    let rows = patient.ask(&[Check::Deadlocks], DEADLOCKS).await.unwrap_or_default();
    if let Some(row) = rows.first().filter(|row| row.get::<_, i64>(0) > 0) {
        let evidence = format!("{} since {}", row.get::<_, i64>(0), row.get::<_, &str>(1));
        let finding = Finding::new(Check::Deadlocks, Severity::Notice, evidence).remedy(
            "Giro locks in one order and cannot be in a circle of its own: another program locks accounts in \
             another order, or changes them by hand. PostgreSQL's log names both statements.",
        );
        patient.add(finding);
    }
    if patient.about.has_schema {
        hot_accounts(patient).await;
        overdue(patient).await;
    }
}

async fn hot_accounts(patient: &mut Patient<'_>) {
    let (batches, share) = (patient.limits.hot_account_batches, patient.limits.hot_account_share);
    let parameters = [(&batches as _, Type::INT8), (&share as _, Type::FLOAT8)];
    let rows = patient.ask_with(&[Check::HotAccount], ACCOUNTS, &parameters).await;
    for row in rows.unwrap_or_default() {
        let (ledger, account): (i32, &str) = (row.get(0), row.get(1));
        let (in_batches, transfers, batches): (i64, i64, i64) =
            (row.get(2), row.get(3), row.get(4));
        let evidence = format!(
            "account {account} of ledger {ledger} is in {in_batches} of the last {batches} batches \
             ({:.0} %), with {:.1} transfers a batch",
            in_batches as f64 / batches as f64 * 100.0,
            transfers as f64 / in_batches as f64,
        );
        let finding = Finding::new(Check::HotAccount, Severity::Notice, evidence).remedy(
            "That is what batches are for: its row is written once a batch, however many transfers there \
             are. But no two lanes or servers can change it at once. If it is held up, use one lane; with \
             about one transfer a batch, callers come one after another, and merging cannot help them.",
        );
        // A number, and not what is settled when it is pasted: the planner then knows that it is little.
        let after = (row.get::<_, i64>(5) - 1000).max(0) << 16;
        patient.add(finding.sql(format!(
            "SELECT seq >> 16 AS batch, count(*) FROM giro.transfers\n \
             WHERE ledger = {ledger} AND seq > {after}\n   \
             AND (debit_account = '{account}' OR credit_account = '{account}')\n \
             GROUP BY 1 ORDER BY 1 DESC LIMIT 20;"
        )));
    }
}

async fn overdue(patient: &mut Patient<'_>) {
    if !patient.about.reads_tables {
        let because =
            format!("{} may not read giro.open_holds: look as the owner", patient.about.role);
        return patient.skip(&[Check::HoldsOverdue], because, None);
    }
    let late = patient.limits.overdue.as_secs_f64();
    let parameters = [(&late as _, Type::FLOAT8), (&OVERDUE_MAX as _, Type::INT8)];
    let rows = patient.ask_with(&[Check::HoldsOverdue], OVERDUE, &parameters).await;
    let Some(row) = rows.unwrap_or_default().into_iter().next() else { return };
    let (count, oldest): (i64, Option<f64>) = (row.get(0), row.get(1));
    if count == 0 {
        return;
    }
    let more = if count == OVERDUE_MAX { " or more" } else { "" };
    let evidence =
        format!("{count}{more} hold(s), the oldest for {}", span(oldest.unwrap_or_default()));
    let finding = Finding::new(Check::HoldsOverdue, Severity::Warning, evidence).remedy(
        "Servers release them twice a second: none runs, or their log says why not (\"holds are not \
         released\"). They cannot be posted any more, but their amounts stay held. By hand, up to 1,000:",
    );
    patient.add(finding.sql("SELECT giro.expire_holds(0, 'dba');"));
}
