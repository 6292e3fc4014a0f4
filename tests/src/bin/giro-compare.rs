//! Giro beside what is otherwise done with PostgreSQL: `giro-compare --help`

use clap::{Parser, Subcommand};
use giro_tests::compare::{self, DrawArguments, GrowthArguments, RunArguments};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Compares Giro with what is otherwise done with the same PostgreSQL, side by side on a cluster of its own.
#[derive(Parser)]
#[command(name = "giro-compare")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything, and write comparison.json as it goes
    Run(Box<RunArguments>),
    /// Let ledgers grow, and write growth.json as they do
    Growth(Box<GrowthArguments>),
    /// Draw what was measured, and write the tables into the document
    Draw(DrawArguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => {
            arguments.plan().and_then(|plan| until_stopped(compare::run(plan)))
        }
        Command::Growth(arguments) => until_stopped(compare::growth(*arguments)),
        Command::Draw(arguments) => arguments.draw().map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main]
async fn until_stopped(work: impl Future<Output = Result<bool, String>>) -> Result<bool, String> {
    // Whatever has begun ends as it is dropped: programs are killed, clusters stopped, directories removed.
    tokio::select! {
        biased; // it listens before anything begins
        signal = stopped() => Err(format!("broken off by {}; what was measured is kept", signal?)),
        done = work => done,
    }
}

/// Waits for a signal that ends this program.
async fn stopped() -> Result<&'static str, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals: {error}"));
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}
