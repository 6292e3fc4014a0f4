//! A query whose rows are taken one by one, with the time that it takes and how far it is.

use super::report::PassReport;
use futures_util::TryStreamExt;
use std::pin::pin;
use std::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Transaction};

/// How far an audit is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The pass that is running.
    pub pass: &'static str,
    /// Rows it has read. They begin to come once PostgreSQL has sorted them.
    pub rows: u64,
    /// Rows it will read, about, if that is known.
    pub of: Option<u64>,
}

/// Rows between two reports of progress.
const STEP: u64 = 50_000;

/// The passes over one snapshot.
pub(super) struct Passes<'a> {
    snapshot: &'a Transaction<'a>,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    sizes: Sizes,
    reports: Vec<PassReport>,
}

/// Rows of the tables, as the last ANALYZE or VACUUM estimated them.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    accounts: Option<u64>,
    decisions: Option<u64>,
    batches: Option<u64>,
    history: Option<u64>,
}

impl Sizes {
    async fn read(snapshot: &Transaction<'_>) -> Result<Self, Error> {
        let sql = "SELECT relname::text, reltuples::bigint FROM pg_class
                    WHERE relnamespace = 'giro'::regnamespace AND relkind = 'r' AND reltuples >= 0";
        let rows = snapshot.query(sql, &[]).await?;
        let of = |table: &str| {
            let row = rows.iter().find(|row| row.get::<_, &str>(0) == table)?;
            u64::try_from(row.get::<_, i64>(1)).ok()
        };
        Ok(Self {
            accounts: of("account_state"),
            decisions: of("decisions"),
            batches: of("batches"),
            history: of("account_balances"),
        })
    }

    pub(super) fn accounts_pass(&self) -> Option<u64> {
        Some(self.accounts? + 2 * self.decisions? + self.history.unwrap_or(0))
    }

    pub(super) fn batches_pass(&self) -> Option<u64> {
        Some(self.decisions? + self.batches?)
    }
}

impl<'a> Passes<'a> {
    pub(super) async fn new(
        snapshot: &'a Transaction<'a>,
        progress: &'a mut (dyn FnMut(Progress) + Send),
    ) -> Result<Self, Error> {
        let sizes = Sizes::read(snapshot).await?;
        Ok(Self { snapshot, progress, sizes, reports: Vec::new() })
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Runs a query and takes its rows as they come.
    pub(super) async fn run(
        &mut self,
        pass: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        of: Option<u64>,
        mut take: impl FnMut(&Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let mut rows = 0;
        (self.progress)(Progress { pass, rows, of });
        let parameters = parameters.iter().copied();
        let mut stream = pin!(self.snapshot.query_raw(sql, parameters).await?);
        while let Some(row) = stream.try_next().await? {
            take(&row)?;
            rows += 1;
            if rows.is_multiple_of(STEP) {
                (self.progress)(Progress { pass, rows, of });
            }
        }
        self.reports.push(PassReport { name: pass, rows, seconds: began.elapsed().as_secs_f64() });
        Ok(())
    }

    pub(super) fn into_reports(self) -> Vec<PassReport> {
        self.reports
    }
}
