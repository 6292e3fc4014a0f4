use super::Ended;
use crate::config::Config;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the effective settings as TOML, without secrets
    Print,
    /// Say whether the settings can be used
    Check,
}

pub(crate) fn run(args: &Args, settings: &Config) -> Ended {
    match args.action {
        Action::Print => print!("{}", toml::to_string(settings)?),
        // They were checked when they were loaded.
        Action::Check if settings.database.url.is_none() => {
            println!("the settings are sound, but database.url is not set: serve needs it");
        }
        Action::Check => println!("the settings are sound; the database was not asked"),
    }
    Ok(ExitCode::SUCCESS)
}
