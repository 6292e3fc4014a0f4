//! Faults by hand and by storm: `giro-chaos --help`

use clap::{Parser, Subcommand, ValueEnum};
use giro_tests::chaos::{self, CheckArguments, LongArguments, RunArguments, proxy_command};
use giro_tests::nemesis::Fault;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Breaks a Giro on a PostgreSQL of its own in every way there is, and says whether a promise broke.
#[derive(Parser)]
#[command(name = "giro-chaos")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the faults
    Faults,
    /// Let faults happen to a fresh cluster under load, and check every promise
    Run(RunArguments),
    /// Check a run again
    Check(CheckArguments),
    /// One run after another until it is enough for a release; goes on where it was stopped
    Long(LongArguments),
    /// Stand between Giro and PostgreSQL as a bad network
    Proxy(Box<proxy_command::Arguments>),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Faults => {
            for fault in Fault::ALL.iter().filter_map(ValueEnum::to_possible_value) {
                println!("{:22}{}", fault.get_name(), fault.get_help().expect("its line"));
            }
            ExitCode::SUCCESS
        }
        Command::Run(arguments) => end(run(arguments)),
        Command::Check(arguments) => end(check(arguments)),
        Command::Long(arguments) => end(chaos::long(&arguments)),
        Command::Proxy(arguments) => proxy_command::run(*arguments),
    }
}

#[tokio::main]
async fn run(arguments: RunArguments) -> Result<bool, String> {
    let plan = arguments.plan()?;
    // Whatever has begun is undone as it is dropped: halted processes go on, groups and disks are removed.
    tokio::select! {
        biased; // it listens before anything begins
        signal = stopped() => Err(format!("the storm is broken off by {}", signal?)),
        summary = chaos::run(plan) => Ok(summary?.passes),
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

#[tokio::main]
async fn check(arguments: CheckArguments) -> Result<bool, String> {
    chaos::check(arguments).await
}

fn end(passes: Result<bool, String>) -> ExitCode {
    match passes {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
