//! The load generator behind `giro bench`: it sends transfers to a running server over HTTP and
//! reports how fast they were applied, how long the answers took, and what PostgreSQL did for it.
//!
//! - [`Options`] says what to run; [`run`] runs it; [`Report`] is the result, as a table for
//!   people or as JSON.
//! - `accounts`: the accounts on the server. `ids`: their ids.
//! - `client`: one HTTP connection. `load`: the closed loop over many of them.
//! - `outcome`: outcomes found in an answer. `money`: the check of the balances.
//! - `database`: settings and counters of PostgreSQL. `cpu`: CPU times.
//! - `progress`: the bars on the terminal. `table`: the report for people.
//!
//! No figure is given unless the durability settings of PostgreSQL could be read and the balances
//! after the run agree with what the server acknowledged.

mod accounts;
mod client;
mod cpu;
mod database;
mod error;
mod ids;
mod load;
mod money;
mod options;
mod outcome;
mod progress;
mod report;
mod table;
#[cfg(test)]
mod tests;

use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::database::{Database, Snapshot};
use crate::ids::Ids;
use crate::load::Control;

pub use crate::cpu::Measured;
pub use crate::database::Settings;
pub use crate::error::BenchError;
pub use crate::money::Money;
pub use crate::options::Options;
pub use crate::outcome::Outcomes;
pub use crate::report::{DatabaseWork, LatencyMs, Machine, Report, Throughput, Trouble, Workload};

/// Creates the accounts where needed, loads the server, checks the balances, and reports.
///
/// # Errors
///
/// A [`BenchError`] when an option cannot be used, the server or PostgreSQL does not answer, the
/// durability settings cannot be read, nothing was applied, or the balances do not agree with
/// what was acknowledged. There are no figures then.
pub async fn run(options: Options) -> Result<Report, BenchError> {
    let target = options.validate()?;
    let database = Database::connect(&options.database_url).await?;
    // Unreadable settings shall be known before a million accounts are created.
    database.snapshot().await?;
    let accounts = Accounts {
        target,
        ids: Ids::new(options.seed, options.ledger),
        hot: options.hot_accounts,
        cold: options.accounts,
        batch: options.max_items as u64,
        request_timeout: options.request_timeout,
    };
    accounts.prepare().await?;

    let debits_before = accounts.hot_debits().await?;
    let control = Arc::new(Control::default());
    let workers = load::start(&options, &accounts, &control);
    let (window, tally) =
        tokio::try_join!(measure(&options, &control, &database), load::finish(workers))?;
    let debits_after = accounts.hot_debits().await?;

    let money = Money::check(tally.acknowledged, tally.unknown, debits_before, debits_after)?;
    Report::new(&options, &window, &tally, money)
}

/// The measured window: its length, and what was read at both ends.
struct Window {
    length: Duration,
    before: Reading,
    after: Reading,
}

/// What is read at an end of the window.
struct Reading {
    database: Snapshot,
    client_seconds: Result<f64, String>,
    server_seconds: Result<f64, String>,
}

/// Leads the load through warm-up and measured window.
async fn measure(
    options: &Options,
    control: &Control,
    database: &Database,
) -> Result<Window, BenchError> {
    progress::wait("warming up", options.warmup, || control.applied()).await;
    let before = read(options, database).await?;
    let began = Instant::now();
    control.measure();
    progress::wait("measuring", options.duration, || control.applied()).await;
    control.stop();
    let length = began.elapsed();
    let after = read(options, database).await?;
    Ok(Window { length, before, after })
}

async fn read(options: &Options, database: &Database) -> Result<Reading, BenchError> {
    let no_pid = || Err("the process id of the server was not given".into());
    Ok(Reading {
        client_seconds: cpu::seconds(process::id()),
        server_seconds: options.server_pid.map_or_else(no_pid, cpu::seconds),
        database: database.snapshot().await?,
    })
}
