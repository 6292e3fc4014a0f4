//! Runs a command beside one private PostgreSQL that all its tests share: `with-postgres COMMAND…`

use giro_tests::cluster;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-postgres COMMAND [ARGUMENT …]");
        return ExitCode::FAILURE;
    };
    let running = cluster::start(&[]);
    eprintln!("PostgreSQL {} for the tests", running.version());
    let status = Command::new(&program)
        .args(arguments)
        .env(cluster::URL_VARIABLE, running.url(cluster::USER, cluster::DATABASE))
        .status();
    if let Some(line) = cluster::alarming_line(&running) {
        eprintln!("in PostgreSQL's log: {line}");
        return ExitCode::FAILURE;
    }
    match status {
        Ok(status) => status.code().map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)),
        Err(error) => {
            eprintln!("{}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}
