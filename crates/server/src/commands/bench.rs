use super::Ended;
use super::dev::{DATA_DIR, URL_FILE};
use crate::config::Config;
use crate::descriptors;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use giro_bench::{Arrivals, OpenLoop, Workload};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the server listens [default: server.listen of the settings]
    #[arg(long)]
    url: Option<String>,
    /// The server's database, to read balances, settings and statistics [default: that of giro dev]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Which requests, and between which accounts
    #[arg(long, default_value = "hot", value_parser = workloads())]
    workload: Workload,
    /// Requests per second, sent by a schedule however long answers take (an open loop) [default:
    /// each connection sends its next request when the last is answered]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// How they are spaced
    #[arg(long, default_value = "poisson", value_parser = spacings(), requires = "rate")]
    arrivals: Arrivals,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long to measure
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How long to run before that
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// Accounts that are debited by hot, holds, chains and mixed [default: 10]
    #[arg(long)]
    hot_accounts: Option<u64>,
    /// All other accounts
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u64,
    /// Transfers in one request; 1 sends single ones. Not for chains and mixed
    #[arg(long, default_value_t = 1)]
    bulk: usize,
    /// Process of the server, to report its CPU time
    #[arg(long)]
    server_pid: Option<u32>,
    /// Write the latencies of each second as an HdrHistogram interval log
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Write what PostgreSQL did in each second, one JSON object a line
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn workloads() -> impl clap::builder::TypedValueParser<Value = Workload> {
    let values = Workload::ALL.map(|one| PossibleValue::new(one.name()).help(one.summary()));
    PossibleValuesParser::new(values).map(|name| named(&Workload::ALL, Workload::name, &name))
}

fn spacings() -> impl clap::builder::TypedValueParser<Value = Arrivals> {
    let values = Arrivals::ALL.map(|one| PossibleValue::new(one.name()).help(one.summary()));
    PossibleValuesParser::new(values).map(|name| named(&Arrivals::ALL, Arrivals::name, &name))
}

fn named<T: Copy>(all: &[T], name_of: fn(T) -> &'static str, name: &str) -> T {
    let found = all.iter().find(|one| name_of(**one) == name);
    *found.expect("one of the possible values")
}

pub(crate) async fn run(args: Args, settings: Config) -> Ended {
    let url = args.url.unwrap_or_else(|| format!("http://{}", settings.server.listen));
    let left_by_dev = Path::new(DATA_DIR).join(URL_FILE);
    let database_url = match args.database_url {
        Some(url) => url,
        None => std::fs::read_to_string(&left_by_dev).map_err(|error| {
            format!(
                "--database-url is not given, and {}, which giro dev leaves in its directory: {error}",
                left_by_dev.display()
            )
        })?,
    };
    descriptors::make_room("--connections", args.connections)?;
    let open_loop = args.rate.map(|rate| OpenLoop { rate, arrivals: args.arrivals });
    let options = giro_bench::Options {
        workload: args.workload,
        open_loop,
        connections: args.connections,
        duration: args.duration,
        warmup: args.warmup,
        hot_accounts: args.hot_accounts,
        accounts: args.accounts,
        bulk: args.bulk,
        max_items: settings.batch.max_items,
        server_pid: args.server_pid,
        hdr_log: args.hdr,
        samples: args.samples,
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
