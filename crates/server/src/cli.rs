use crate::commands::{bench, config, dev, doctor, healthcheck, migrate, openapi, serve, verify};
use crate::config::{Overrides, load};
use crate::telemetry;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// A batching transaction server for PostgreSQL.
#[derive(Parser)]
#[command(name = "giro", version)]
struct Cli {
    /// Settings file [default: config/giro.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "GIRO_CONFIG")]
    config: Option<PathBuf>,
    /// One setting, above file and environment: --set batch.max_items=500
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a private PostgreSQL, migrate it and serve it
    Dev(dev::Args),
    /// Serve a migrated database
    Serve,
    /// Bring a database's schema up to date; needs its owner's URL
    Migrate,
    /// Print or check the effective settings
    Config(config::Args),
    /// Load a running server and report
    Bench(bench::Args),
    /// Audit a database; exit 1 on a finding, 2 if it could not be looked at
    Verify(verify::Args),
    /// Say what hurts a database; exit 1 on a warning, 3 on something critical, 2 if it could not look
    Doctor(doctor::Args),
    /// Print the API's description, as /openapi.json has it
    Openapi,
    /// Exit 0 if the server on this machine is alive
    Healthcheck,
}

impl Command {
    /// How the process ends when the command could not do its work.
    fn failure(&self) -> ExitCode {
        match self {
            Self::Verify(_) => ExitCode::from(verify::NOT_LOOKED),
            Self::Doctor(_) => ExitCode::from(doctor::NOT_LOOKED),
            _ => ExitCode::FAILURE,
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().into(), value.trim().into()))
}

/// The program: parses the command line, runs the command, and tells how it ended.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let failure = cli.command.failure();
    let overrides =
        Overrides { file: cli.config, flags: cli.settings, ..Overrides::from_environment() };
    let settings = match load(&overrides) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, failure),
    };
    telemetry::start(&settings.log);
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, failure),
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Dev(args) => dev::run(args, settings).await,
            Command::Serve => serve::run(settings).await,
            Command::Migrate => migrate::run(settings).await,
            Command::Config(args) => config::run(&args, &settings),
            Command::Bench(args) => bench::run(args, settings).await,
            Command::Verify(args) => verify::run(args, settings).await,
            Command::Doctor(args) => doctor::run(args, settings).await,
            Command::Openapi => openapi::run(&settings),
            Command::Healthcheck => healthcheck::run(settings).await,
        }
    });
    // A look-up or a file read that hangs must not hold up the exit.
    runtime.shutdown_background();
    ended.unwrap_or_else(|error| fail(&*error, failure))
}

/// A server leaves half of the processors to PostgreSQL or to its callers: with more threads than it keeps busy,
/// each request wakes one that finds nothing to do. The variable is tokio's own.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let serves = matches!(command, Command::Dev(_) | Command::Serve);
    if serves && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads((processors / 2).max(1));
    }
    builder.enable_all().build()
}

fn fail(error: &dyn std::fmt::Display, code: ExitCode) -> ExitCode {
    eprintln!("giro: {error}");
    code
}
