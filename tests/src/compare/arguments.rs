//! What can be asked for on the command line.

use super::cell::Contender;
use super::draw::draw;
use super::plan::Plan;
use bytesize::ByteSize;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// PostgreSQL has connections for so many (`site.rs`).
const MAX_CLIENTS: i64 = 1_024;

/// Measure: `giro-compare run --help`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArguments {
    /// The server [default: giro beside this program]
    #[arg(long, value_name = "PATH")]
    giro: Option<PathBuf>,
    /// Who is compared [default: everybody]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    contenders: Vec<Contender>,
    /// Numbers of clients under the first condition
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = count(),
        default_value = "1,2,4,8,16,32,64,128,256,512,1024")]
    clients: Vec<u32>,
    /// Numbers of clients under the other conditions
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = count(),
        default_value = "8,64,256,512")]
    few_clients: Vec<u32>,
    /// Round trips to the database in milliseconds; the first is that of the first condition
    #[arg(long, value_name = "MS", value_delimiter = ',', default_value = "0,1,10")]
    delays: Vec<u32>,
    /// Contended rows; the first number is that of the first condition
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "10,100,100000",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rows: Vec<u64>,
    /// Also with a synchronous standby
    #[arg(long, value_name = "BOOL", default_value = "true", action = clap::ArgAction::Set)]
    standby: bool,
    /// Parts of the highest throughput at which requests come by themselves; 0 for none
    #[arg(
        long,
        value_name = "PARTS",
        value_delimiter = ',',
        value_parser = part,
        default_value = "0.1,0.25,0.5,0.75,0.9"
    )]
    parts: Vec<f64>,
    /// Length of a measured window, in seconds
    #[arg(long, default_value = "8", value_parser = seconds)]
    seconds: f64,
    /// Load before it, in seconds
    #[arg(long, default_value = "2", value_parser = seconds)]
    warmup: f64,
    /// How often everything is measured
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Accounts beside the contended ones
    #[arg(long, default_value = "1000000", value_parser = clap::value_parser!(u64).range(1000..))]
    accounts: u64,
    /// Transfers in one request of giro-bulk
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(2..=1000))]
    bulk: u32,
    /// A further setting of PostgreSQL
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Stop when less of the disk is free
    #[arg(long, value_name = "SIZE", default_value = "3GB")]
    min_free: ByteSize,
    /// Where comparison.json and the pictures go
    #[arg(long, value_name = "DIRECTORY", default_value = "docs/performance")]
    out: PathBuf,
    /// The document with the tables [default: docs/performance.md for docs/performance, else comparison.md there]
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Keep what comparison.json has, and measure the rest
    #[arg(long)]
    resume: bool,
    /// Say what would be measured and how long it takes, and no more
    #[arg(long)]
    dry_run: bool,
}

/// Draw: `giro-compare draw --help`.
#[derive(Debug, Clone, clap::Args)]
pub struct DrawArguments {
    /// Where comparison.json and growth.json are, and the pictures go
    #[arg(long, value_name = "DIRECTORY", default_value = "docs/performance")]
    dir: PathBuf,
    /// The document with the tables [default: docs/performance.md for docs/performance, else comparison.md there]
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

impl DrawArguments {
    /// Draws what is in the directory.
    pub fn draw(self) -> Result<(), String> {
        draw(&self.dir, &document(&self.dir, self.document))
    }
}

/// A trial is not to be taken for what the repository shows.
fn document(dir: &Path, given: Option<PathBuf>) -> PathBuf {
    let shown = dir == Path::new("docs/performance");
    given.unwrap_or_else(|| {
        if shown { "docs/performance.md".into() } else { dir.join("comparison.md") }
    })
}

impl RunArguments {
    /// What they mean; an error says what to change.
    pub fn plan(self) -> Result<Plan, String> {
        let whole = || Contender::value_variants().to_vec();
        Ok(Plan {
            giro: giro(self.giro)?,
            contenders: if self.contenders.is_empty() { whole() } else { self.contenders },
            clients: self.clients,
            few_clients: self.few_clients,
            delays: self.delays,
            rows: self.rows,
            standby: self.standby,
            parts: self.parts.into_iter().filter(|part| *part > 0.0).collect(),
            seconds: self.seconds,
            warmup: self.warmup,
            rounds: self.rounds,
            accounts: self.accounts,
            bulk: self.bulk,
            settings: self.settings,
            document: document(&self.out, self.document),
            min_free: self.min_free,
            out: self.out,
            resume: self.resume,
            dry_run: self.dry_run,
        })
    }
}

/// The server's program, as an absolute path: it is run in another directory.
pub(super) fn giro(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let beside = || std::env::current_exe().expect("this program").with_file_name("giro");
    let giro = given.unwrap_or_else(beside);
    giro.canonicalize().map_err(|error| format!("{}: {error}", giro.display()))
}

fn count() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=MAX_CLIENTS)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    (0.1..=3600.0).contains(&seconds).then_some(seconds).ok_or("from 0.1 to 3600".into())
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| "a number".to_owned())?;
    (0.0..=1.0).contains(&part).then_some(part).ok_or("from 0 to 1".into())
}

/// `NAME=VALUE`
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
