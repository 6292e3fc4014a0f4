//! The audit behind `giro verify`: is what is stored what the rules can have made?
//!
//! All checks look at one snapshot, which a server may go on changing. Each pass is one query whose
//! result PostgreSQL sorts, on its disk where need be, and which is folded row by row as it arrives:
//! memory does not grow with the ledger. It reads the views only, as the server's role may, and shares
//! no rule with the functions that write.
//!
//! | file | holds |
//! | --- | --- |
//! | `check`, `report`, `text` | what is checked, what was found, and how a person reads it |
//! | `ledgers` | sums over each ledger |
//! | `accounts`, `entry`, `totals`, `account_fold`, `list` | every account as the fold of its movements |
//! | `batches` | every batch with what it decided: totals, chains, order |
//! | `holds` | every hold with what resolved it |
//! | `decisions` | what a row alone can tell |
//! | `values` | values that may be corrupt |

mod account_fold;
mod accounts;
mod batches;
mod check;
mod decisions;
mod entry;
mod holds;
mod ledgers;
mod list;
mod pass;
mod report;
mod text;
mod totals;
mod values;

use crate::describe::describe;
use crate::{ConnectError, Connector, schema};
use account_fold::AccountFold;
use batches::BatchFold;
use holds::HoldFold;
use pass::Passes;
use report::Findings;
use std::time::Instant;
use tokio_postgres::{IsolationLevel, Transaction};

pub use check::Check;
pub use pass::Progress;
pub use report::{CheckReport, Finding, PassReport, Report};

/// Why a ledger could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A query failed.
    #[error("{}", describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
}

/// What the session needs for large sorts, and protection from plans that fit small tables only: the
/// planner cannot know how many transfers are holds.
const SESSION: &str = "
SET LOCAL work_mem = '64MB';
SET LOCAL jit = off;
SET LOCAL enable_nestloop = off;
SET LOCAL enable_memoize = off;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Audits a ledger. Of each check, the first `keep` findings are kept and all are counted.
///
/// The connector's statement time-out ends the queries as any other; a zero one does not.
pub async fn verify(
    connector: &Connector,
    keep: usize,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, VerifyError> {
    let began = Instant::now();
    let mut session = connector.inspect("giro verify").await?;
    let transaction = session.client.build_transaction();
    let isolation = IsolationLevel::RepeatableRead;
    let transaction = transaction.isolation_level(isolation).read_only(true).start().await?;
    transaction.batch_execute(SESSION).await?;
    let about = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                        current_setting('server_version')";
    let about = transaction.query_one(about, &[]).await?;
    let mut findings = Findings::new(keep);
    let passes = check(&transaction, progress, &mut findings).await?;
    transaction.rollback().await?;
    let checks = findings.into_reports();
    Ok(Report {
        clean: checks.iter().all(|check| check.findings == 0),
        snapshot_at: about.get(0),
        postgres: about.get(1),
        schema_version: schema::version(),
        seconds: began.elapsed().as_secs_f64(),
        passes,
        checks,
    })
}

async fn check(
    snapshot: &Transaction<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
    findings: &mut Findings,
) -> Result<Vec<PassReport>, tokio_postgres::Error> {
    let mut passes = Passes::new(snapshot, progress).await?;
    let sizes = passes.sizes();

    let mut accounts_found = 0;
    let sums = |row: &_| ledgers::sums(row, findings).map(|count| accounts_found += count);
    passes.run("ledgers", ledgers::SUMS_SQL, &[], None, sums).await?;
    passes
        .run("details", ledgers::HALVES_SQL, &[], None, |row| ledgers::halves(row, findings))
        .await?;

    let mut fold = AccountFold::default();
    let take = |row: &_| {
        let (key, seq, entry) = accounts::entry(row)?;
        fold.take(key, seq, entry, findings);
        Ok(())
    };
    passes.run("accounts", accounts::SQL, &[], sizes.accounts_pass(), take).await?;
    fold.end(findings);

    let mut fold = BatchFold::default();
    let take = |row: &_| fold.take(row, findings);
    passes.run("batches", batches::SQL, &[], sizes.batches_pass(), take).await?;
    let created = fold.end(findings);
    if created != accounts_found {
        findings.add(Check::AccountsExist, || {
            let finding = Finding::new("the batches have created another number of accounts");
            finding.expected(created).found(accounts_found)
        });
    }

    let mut fold = HoldFold::default();
    passes.run("holds", holds::SQL, &[], None, |row| fold.take(row, findings)).await?;
    fold.end(findings);

    let reasons = decisions::reasons();
    let take = |row: &_| decisions::take(row, findings);
    passes.run("decisions", decisions::SQL, &[&reasons], None, take).await?;
    Ok(passes.into_reports())
}
