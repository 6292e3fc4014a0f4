//! The load generator behind `giro bench`: it sends transfers to a running server over HTTP and
//! reports how fast they were applied, how long the answers took, and what PostgreSQL did for it.
//!
//! - [`Options`] says what to run; [`run`] runs it; [`Report`] is the result, as a table for
//!   people or as JSON.
//! - `workload`: which requests, and when. `accounts`: the accounts on the server. `ids`: their
//!   ids. `requests`: the requests of one connection.
//! - `client`: one HTTP connection. `load`: many of them. `control`: what leads them. `schedule`
//!   and `arrivals`: the open loop. `window`: warm-up and measured window.
//! - `outcome`: outcomes found in an answer. `tally`: what is counted. `recorder`: how long
//!   requests took; `intervals`: in each second; `hdr_log`: the file of it.
//! - `books`: what was acknowledged, by account. `balances`: what is there. `money`: the check.
//! - `database`: settings and counters of PostgreSQL. `sampler`: looks at it every second;
//!   `samples`: what it saw, and the file of it. `cpu`: CPU times.
//! - `progress`: the bars on the terminal. `report`: the figures. `table`: the report for people.
//!
//! No figure is given unless the durability settings of PostgreSQL could be read and the balances
//! after the run agree with what the server acknowledged.

mod accounts;
mod arrivals;
mod balances;
mod books;
mod client;
mod control;
mod cpu;
mod database;
mod error;
mod hdr_log;
mod ids;
mod intervals;
mod load;
mod money;
mod options;
mod outcome;
mod progress;
mod recorder;
mod report;
mod requests;
mod sampler;
mod samples;
mod schedule;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod window;
mod workload;

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::arrivals::Arrivals as Due;
use crate::client::Target;
use crate::control::Control;
use crate::database::Database;
use crate::hdr_log::HdrLog;
use crate::ids::Ids;
use crate::intervals::Intervals;
use crate::money::Readings;
use crate::report::Load;
use crate::sampler::Sampler;
use crate::samples::SampleFile;
use crate::schedule::Schedule as Starts;

pub use crate::cpu::Measured;
pub use crate::database::Settings;
pub use crate::error::BenchError;
pub use crate::money::Money;
pub use crate::options::Options;
pub use crate::outcome::Outcomes;
pub use crate::report::{
    DatabaseWork, KindLatency, LatencyMs, Machine, Report, Run, Schedule, Throughput, Trouble,
};
pub use crate::samples::{Sample, Vacuum};
pub use crate::tally::Reads;
pub use crate::workload::{Arrivals, OpenLoop, Workload};

/// Creates the accounts where needed, loads the server, checks the balances, and reports.
///
/// # Errors
///
/// A [`BenchError`] when an option cannot be used, a file cannot be written, the server or
/// PostgreSQL does not answer, the durability settings cannot be read, nothing was applied, or
/// the balances do not agree with what was acknowledged. There are no figures then. Options and
/// files are looked at before anything else is done.
pub async fn run(options: Options) -> Result<Report, BenchError> {
    let target = options.validate()?;
    let log = options.hdr_log.as_deref().map(HdrLog::create).transpose()?;
    let file = options.samples.as_deref().map(SampleFile::create).transpose()?;
    let database = Database::connect(&options.database_url).await?;
    // Unreadable settings shall be known before a million accounts are created.
    database.snapshot().await?;
    let sampler = Sampler::new(Database::connect(&options.database_url).await?, file);
    let accounts = accounts(&options, target);
    accounts.prepare().await?;
    balances::until_quiet(&database).await?;
    let before = balances::in_database(&database, &accounts).await?;

    let starts = options.open_loop.map(|open_loop| Starts::new(open_loop, options.seed));
    let arrivals = starts.map(Due::start).transpose().map_err(BenchError::Thread)?;
    let control = Arc::new(Control::new(accounts.len(), arrivals));
    let mut intervals = Intervals::new(log);
    let workers = load::start(&options, &accounts, &control);
    let measured = window::measure(&options, &control, &database, sampler, &mut intervals);
    let (window, mut tally) = tokio::try_join!(measured, load::finish(workers))?;
    let not_sent = control.record_not_sent();
    let latencies = intervals.finish(&control)?;

    if let Some(first) = tally.first_lost.take() {
        return Err(BenchError::ReadLost { wrong: tally.lost_reads, first });
    }
    let after = balances::in_database(&database, &accounts).await?;
    let over_http = balances::over_http(&accounts).await?;
    let readings = Readings { before, after, over_http };
    let money = Money::check(&accounts, &control.books, &readings)?;
    Report::new(&options, window, Load { tally, latencies, not_sent, money })
}

fn accounts(options: &Options, target: Target) -> Accounts {
    let (hot, cold) = options.account_counts();
    Accounts {
        target,
        ids: Ids::new(options.seed, options.ledger),
        hot,
        cold,
        batch: options.max_items as u64,
        request_timeout: options.request_timeout,
    }
}
