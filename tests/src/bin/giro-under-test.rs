//! `giro`, for tests that need it as a process. GIRO_MUTANT breaks it on purpose.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(name) = std::env::var("GIRO_MUTANT")
        && !giro_server::mutants::choose(&name)
    {
        eprintln!("there is no mutant `{name}`");
        return ExitCode::FAILURE;
    }
    giro_server::run()
}
