//! Looks at PostgreSQL during the measured window, on a connection that nothing else uses.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::BenchError;
use crate::control::Control;
use crate::database::{Counter, Counters, Database};
use crate::samples::{Sample, SampleFile, Vacuum};

/// How often sessions that wait for locks are looked for: PostgreSQL does not count them.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS_IN_SAMPLE: u32 = 5;

const WAITING: &str = "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), \
           count(*) FILTER (WHERE query = '<insufficient privilege>') \
      FROM pg_stat_activity \
     WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()";

const VACUUMS: &str = "SELECT relid::regclass::text, phase, heap_blks_scanned, heap_blks_total \
    FROM pg_stat_progress_vacuum WHERE datname = current_database()";

const DEAD: &str = "SELECT n_dead_tup FROM pg_stat_all_tables \
    WHERE schemaname = 'giro' AND relname = 'account_state'";

const DECISIONS: &str = "SELECT pg_total_relation_size(to_regclass('giro.decisions'))";

const NO_RIGHT: &str = "the role of --database-url may not see it: it needs pg_read_all_stats";

/// Takes samples.
pub(crate) struct Sampler {
    database: Database,
    file: Option<SampleFile>,
    sampled: Sampled,
}

/// What a sampler has seen.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    pub(crate) samples: Vec<Sample>,
    pub(crate) waits: LockWaits,
    /// Transactions that the sampler has committed, which are not the server's.
    pub(crate) transactions: i64,
}

/// Sessions that were seen to wait for a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LockWaits {
    looks: u32,
    waiting: i64,
    problem: Option<String>,
}

impl LockWaits {
    fn add(&mut self, look: &Result<i64, String>) {
        match look {
            Ok(waiting) => {
                self.looks += 1;
                self.waiting += waiting;
            }
            Err(problem) => self.problem = Some(problem.clone()),
        }
    }

    /// How many waited, on average.
    pub(crate) fn mean(&self) -> Result<f64, String> {
        match (&self.problem, self.looks) {
            (Some(problem), _) => Err(problem.clone()),
            (None, 0) => Err("the window was over before the first look".into()),
            (None, looks) => Ok(self.waiting as f64 / f64::from(looks)),
        }
    }
}

impl Sampler {
    pub(crate) fn new(database: Database, file: Option<SampleFile>) -> Self {
        Self { database, file, sampled: Sampled::default() }
    }

    /// Takes a sample a second until it is dropped. What counts counts from `start`. Only a file
    /// that cannot be written is an error.
    pub(crate) async fn run(
        &mut self,
        control: &Control,
        start: &Counters,
    ) -> Result<Infallible, BenchError> {
        let (began, applied) = (Instant::now(), control.applied());
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut waits = LockWaits::default();
            for _ in 0..LOOKS_IN_SAMPLE {
                ticks.tick().await;
                let look = self.waiting().await;
                waits.add(&look);
                self.sampled.waits.add(&look);
            }
            let counters = self.database.counters().await;
            let own = self.sampled.transactions;
            let commits = start.growth(Counter::Commits, &counters);
            let since = |counter| start.growth(counter, &counters).into();
            let sample = Sample {
                seconds: began.elapsed().as_secs_f64(),
                transfers_applied: control.applied() - applied,
                backlog: control.arrivals.as_ref().map(|arrivals| arrivals.backlog()),
                commits: commits.map(|commits| (commits - own).max(0)).into(),
                wal_bytes: since(Counter::WalBytes),
                wal_records: since(Counter::WalRecords),
                wal_full_page_images: since(Counter::WalFullPageImages),
                wal_fsyncs: since(Counter::WalFsyncs),
                checkpoints: since(Counter::Checkpoints),
                autovacuum_runs: since(Counter::Autovacuums),
                sessions_waiting_for_locks: waits.mean().into(),
                vacuums: self.vacuums().await.into(),
                dead_account_rows: self.number(DEAD).await.into(),
                decisions_bytes: self.number(DECISIONS).await.into(),
            };
            self.sampled.transactions += Counters::TRANSACTIONS;
            if let Some(file) = &mut self.file {
                file.write(&sample)?;
            }
            self.sampled.samples.push(sample);
        }
    }

    /// What has been seen.
    pub(crate) fn finish(self) -> Sampled {
        self.sampled
    }

    async fn number(&mut self, query: &str) -> Result<i64, String> {
        self.sampled.transactions += 1;
        self.database.number(query).await
    }

    /// Sessions of the database that wait for a lock now.
    async fn waiting(&mut self) -> Result<i64, String> {
        self.sampled.transactions += 1;
        let rows = self.database.try_rows(WAITING).await?;
        let row = rows.first().ok_or("no row")?;
        let count = |index| row.try_get::<_, i64>(index).map_err(|error| error.to_string());
        match (count(0)?, count(1)?) {
            (waiting, 0) => Ok(waiting),
            _ => Err(NO_RIGHT.into()),
        }
    }

    async fn vacuums(&mut self) -> Result<Vec<Vacuum>, String> {
        self.sampled.transactions += 1;
        let rows = self.database.try_rows(VACUUMS).await?;
        let vacuum = |row: &tokio_postgres::Row| {
            let table = row.try_get::<_, Option<_>>(0).map_err(|error| error.to_string())?;
            let blocks = |index| row.try_get(index).map_err(|error| error.to_string());
            Ok(Vacuum {
                // Only those who may see it are told which table it is.
                table: table.ok_or(NO_RIGHT)?,
                phase: row.try_get(1).map_err(|error| error.to_string())?,
                heap_blocks_scanned: blocks(2)?,
                heap_blocks_total: blocks(3)?,
            })
        };
        rows.iter().map(vacuum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_waits_are_a_mean_unless_one_look_failed() {
        let mut waits = LockWaits::default();
        assert!(waits.mean().is_err());
        waits.add(&Ok(3));
        waits.add(&Ok(0));
        assert_eq!(waits.mean(), Ok(1.5));
        waits.add(&Err("no right".into()));
        assert_eq!(waits.mean(), Err("no right".into()));
    }
}
