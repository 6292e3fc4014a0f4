//! Faults by hand and by storm: `giro-chaos --help`

use clap::{Parser, Subcommand, ValueEnum};
use giro_tests::chaos::proxy_command;
use giro_tests::nemesis::Fault;
use std::process::ExitCode;

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
        Command::Proxy(arguments) => proxy_command::run(*arguments),
    }
}
