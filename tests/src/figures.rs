//! The figures of `docs/reliability.md`, each measured on clusters and servers of its own.
//!
//! | file | measures |
//! | --- | --- |
//! | `overload` | goodput, latency and refusals at 2 to 10 times what the database can do |
//! | `stall` | the way back after a database that did nothing for ten seconds |
//! | `hang` | how soon a session that does not answer is given up |
//! | `restart` | how soon transfers are applied after a crash of PostgreSQL |
//! | `promotion` | the same after a failover, and what is lost |
//! | `drain` | whether everybody is answered at a stop |
//! | `memory` | the most that the server holds, and whether it gives it back |
//! | `cost` | what this version takes more than an older one |
//!
//! `open_loop` is the load, `answers` what became of it, `stage` where it happens, `report` what is
//! printed.

pub mod answers;
mod cost;
mod drain;
mod hang;
mod memory;
pub mod open_loop;
mod overload;
mod promotion;
pub mod report;
mod restart;
pub mod stage;
mod stall;

use report::{Figure, Report};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stage::Plan;
use std::time::Duration;
use tokio::time::timeout;

/// No figure takes longer.
const FIGURE_MAX: Duration = Duration::from_secs(240);

/// Names of all figures, in the order in which they are measured.
pub const NAMES: [&str; 8] =
    ["overload", "stall", "hang", "restart", "promotion", "drain", "memory", "cost"];

/// Measures the figures of these names, one after another. One that cannot be measured is reported as
/// such, and the others are.
pub async fn run(plan: &Plan, names: &[&'static str]) -> Report {
    open_many_files();
    let mut report = Report::begin().await;
    for &name in names {
        eprintln!("{name} …");
        let plan = plan.clone();
        let mut task = tokio::spawn(async move { measure(&plan, name).await });
        let figure = match timeout(FIGURE_MAX, &mut task).await {
            Ok(Ok(figure)) => Ok(figure),
            Ok(Err(error)) => Err(panic_message(error)),
            Err(_) => {
                task.abort();
                Err(format!("not done within {FIGURE_MAX:?}"))
            }
        };
        report.add(name, figure);
    }
    report
}

/// The usual soft limit has not enough for two thousand connections.
pub(crate) fn open_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, all).expect("the soft limit is raised to the hard one");
}

async fn measure(plan: &Plan, name: &str) -> Figure {
    match name {
        "overload" => overload::overload(plan).await,
        "stall" => stall::stall(plan).await,
        "hang" => hang::hang(plan).await,
        "restart" => restart::restart(plan).await,
        "promotion" => promotion::promotion(plan).await,
        "drain" => drain::drain(plan).await,
        "memory" => memory::memory(plan).await,
        "cost" => cost::cost(plan).await,
        unknown => panic!("there is no figure {unknown}"),
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was aborted".into() };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
