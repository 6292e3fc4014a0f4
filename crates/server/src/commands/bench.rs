use super::Ended;
use super::dev::{DATA_DIR, URL_FILE};
use crate::config::Config;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the server listens [default: server.listen of the settings]
    #[arg(long)]
    url: Option<String>,
    /// The server's database, to read its settings and statistics [default: that of giro dev]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Connections, each sending its next request when the last is answered
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long to measure
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How long to run before that
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Accounts that are debited
    #[arg(long, default_value_t = 10)]
    hot_accounts: u64,
    /// Accounts that are credited
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u64,
    /// Transfers in one request; 1 sends single ones
    #[arg(long, default_value_t = 1)]
    bulk: usize,
    /// Process of the server, to report its CPU time
    #[arg(long)]
    server_pid: Option<u32>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, settings: Config) -> Ended {
    let url = args.url.unwrap_or_else(|| format!("http://{}", settings.server.listen));
    let left_by_dev = Path::new(DATA_DIR).join(URL_FILE);
    let database_url = match args.database_url {
        Some(url) => url,
        None => std::fs::read_to_string(&left_by_dev).map_err(|error| {
            format!("--database-url is not given, and {}: {error}", left_by_dev.display())
        })?,
    };
    let options = giro_bench::Options {
        connections: args.connections,
        duration: args.duration,
        warmup: args.warmup,
        hot_accounts: args.hot_accounts,
        accounts: args.accounts,
        bulk: args.bulk,
        max_items: settings.batch.max_items,
        server_pid: args.server_pid,
        ..giro_bench::Options::new(url, database_url)
    };
    let report = giro_bench::run(options).await?;
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}
