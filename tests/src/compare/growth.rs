//! Throughput and cost as the ledger grows: bulks over HTTP in slices, and after each slice how large the tables
//! have become. A growing table is one that its indexes no longer fit beside in memory.

use super::cell::thousands;
use super::giro::Giro;
use super::machine;
use super::origin::Origin;
use super::raw::{Measured, joined, json, save};
use super::site::{Site, connect};
use super::stalls::stalls;
use crate::ServerProcess;
use crate::figures::open_many_files;
use bytesize::ByteSize;
use giro_server::provision;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Client;

/// The raw file in its directory.
pub(super) const FILE: &str = "growth.json";
const DATABASE: &str = "growth";

/// Let a ledger grow: `giro-compare growth --help`.
#[derive(Debug, Clone, clap::Args)]
pub struct GrowthArguments {
    /// The server [default: giro beside this program]
    #[arg(long, value_name = "PATH")]
    giro: Option<PathBuf>,
    /// Accounts that are credited, a ledger for each number; 10 others are debited
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "10000,1000000,10000000",
        value_parser = clap::value_parser!(u64).range(1..))]
    accounts: Vec<u64>,
    /// Stop at so many transfers, though the time is not over
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    transfers: Option<u64>,
    /// Time for each ledger, its accounts not counted
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Time of a slice; the first million transfers are in slices of a quarter of it
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    slice: Duration,
    /// Connections
    #[arg(long, default_value = "32", value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Transfers in one request
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u32).range(2..=1000))]
    bulk: u32,
    /// Stop when less of the disk is free
    #[arg(long, value_name = "SIZE", default_value = "5GB")]
    min_free: ByteSize,
    /// A further setting of PostgreSQL
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = super::arguments::setting)]
    settings: Vec<(String, String)>,
    /// Where growth.json goes
    #[arg(long, value_name = "DIRECTORY", default_value = "docs/performance")]
    out: PathBuf,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Growth {
    #[serde(flatten)]
    pub(super) origin: Origin,
    /// In the order of time.
    pub(super) points: Vec<Point>,
    /// Why a ledger did not grow for as long as it was to.
    pub(super) stopped: Vec<String>,
}

/// A slice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Point {
    /// That are credited in this ledger.
    pub(super) accounts: u64,
    /// In the ledger at the end of the slice.
    pub(super) transfers: u64,
    pub(super) transfers_per_second: f64,
    /// Of the lanes, in microseconds for each transfer.
    pub(super) backend_cpu_us: Option<f64>,
    /// Of the whole cluster for each transfer.
    pub(super) wal_bytes: Option<f64>,
    /// Since the ledger was made.
    pub(super) autovacuums: i64,
    pub(super) table_bytes: i64,
    pub(super) index_bytes: i64,
    /// Of the disk.
    pub(super) free_bytes: u64,
}

impl Growth {
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let growth: Self = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        growth.origin.refusal().map_or(Ok(growth), |why| Err(failed(&why)))
    }

    fn text(&self) -> String {
        let points = self.points.iter().map(|point| format!("  {}", json(point)));
        let stopped = json(&self.stopped);
        let points = joined(points);
        format!("{}\"points\": [\n{points}\n],\n\"stopped\": {stopped}\n}}\n", self.origin.text())
    }
}

/// Lets one ledger grow after another, and writes what it has seen after each slice.
pub async fn growth(arguments: GrowthArguments) -> Result<bool, String> {
    open_many_files();
    let program = super::arguments::giro(arguments.giro.clone())?;
    let giro = Giro::new(program.clone()).await?;
    let ledgers = arguments.accounts.len() as u32;
    let most = humantime::format_duration(arguments.time * ledgers);
    eprintln!("{ledgers} ledgers: {most} at most, and the time to make their accounts");
    let failed = |error| format!("{}: {error}", arguments.out.display());
    std::fs::create_dir_all(&arguments.out).map_err(failed)?;
    let stalls = stalls(arguments.slice.min(Duration::from_secs(5))).await;
    let site = Site::start(&arguments.settings).await?;
    let data = site.cluster.data_dir();
    let mut origin = machine::begin(&program, &site.binaries, data, &site.admin).await?;
    (origin.plan, origin.stalls) = (arguments.facts(), stalls.to_string());
    let mut growth = Growth { origin, ..Growth::default() };
    for &accounts in &arguments.accounts {
        let why = arguments.grow(&site, &giro, accounts, &mut growth).await?;
        let who = format!("The ledger of {} accounts was stopped", thousands(accounts));
        growth.stopped.extend(why.map(|why| format!("{who}: {why}")));
        save(&growth.text(), &arguments.out.join(FILE))?;
    }
    growth.stopped.iter().for_each(|why| eprintln!("{why}"));
    eprintln!("giro-compare draw makes the picture");
    Ok(growth.stopped.is_empty())
}

impl GrowthArguments {
    fn facts(&self) -> std::collections::BTreeMap<String, String> {
        let facts = [
            ("for", humantime::format_duration(self.time).to_string()),
            ("slice", humantime::format_duration(self.slice).to_string()),
            ("connections", self.connections.to_string()),
            ("bulk", self.bulk.to_string()),
        ];
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// One ledger in a database of its own; why it ended before its time, if it did.
    async fn grow(
        &self,
        site: &Site,
        giro: &Giro,
        accounts: u64,
        growth: &mut Growth,
    ) -> Result<Option<String>, String> {
        let url = |user: &str, name: &str| site.cluster.url(user, name);
        let made = provision(&url, DATABASE).await.map_err(|error| error.to_string())?;
        giro.migrate(&made.owner).await?;
        let superuser = url("postgres", DATABASE);
        let watcher = connect(&superuser).await?;
        let server = giro.serve(&made.server).await;
        eprintln!("making {accounts} accounts …");
        giro.make_accounts(&server, &superuser, HOT, accounts).await?;
        let (began, mut made) = (Instant::now(), 0);
        let why = loop {
            if let Err(why) = machine::has_room(site.cluster.data_dir(), self.min_free) {
                break Some(why);
            }
            if began.elapsed() >= self.time || self.transfers.is_some_and(|most| made >= most) {
                break None;
            }
            let slice = if made < MANY { self.slice / 4 } else { self.slice };
            let measured = self.slice(giro, &server, &superuser, accounts, slice).await?;
            let free = machine::free(site.cluster.data_dir())?;
            let point = point(&watcher, accounts, measured, free).await?;
            made = point.transfers;
            let rate = point.transfers_per_second;
            eprintln!("{accounts} accounts, {made} transfers: {rate:.0} transfers/s");
            growth.points.push(point);
            save(&growth.text(), &self.out.join(FILE))?;
        };
        giro.stop(server).await?;
        drop(watcher);
        site.order(&format!("DROP DATABASE {DATABASE} WITH (FORCE)")).await?;
        // Its files are gone only then.
        site.order("CHECKPOINT").await?;
        Ok(why)
    }

    async fn slice(
        &self,
        giro: &Giro,
        server: &ServerProcess,
        superuser: &str,
        accounts: u64,
        time: Duration,
    ) -> Result<Measured, String> {
        giro.load(server, superuser, (HOT, accounts), |command| {
            let slice = format!("{}ms", time.as_millis());
            command.args(["--warmup", "0s", "--duration", &slice]);
            command.args(["--connections", &self.connections.to_string()]);
            command.args(["--bulk", &self.bulk.to_string()]);
        })
        .await
    }
}

/// Accounts that are debited.
const HOT: u64 = 10;
/// Transfers; until then a ledger grows fast beside its size.
const MANY: u64 = 1_000_000;

async fn point(
    watcher: &Client,
    accounts: u64,
    measured: Measured,
    free_bytes: u64,
) -> Result<Point, String> {
    let sql = "SELECT (SELECT sum(applied)::int8 FROM giro.batches WHERE kind = 'transfers'),
                      (SELECT sum(autovacuum_count)::int8 FROM pg_stat_user_tables),
                      (SELECT sum(pg_table_size(oid))::int8 FROM pg_class
                        WHERE relkind = 'r' AND relnamespace = 'giro'::regnamespace),
                      (SELECT sum(pg_indexes_size(oid))::int8 FROM pg_class
                        WHERE relkind = 'r' AND relnamespace = 'giro'::regnamespace)";
    let row = watcher.query_one(sql, &[]).await.map_err(|error| format!("the sizes: {error}"))?;
    let digits = |value: f64| format!("{value:.4e}").parse().expect("a number");
    Ok(Point {
        accounts,
        transfers: row.get::<_, i64>(0) as u64,
        transfers_per_second: digits(measured.transfers_per_second),
        backend_cpu_us: measured.backend_cpu_us.map(digits),
        wal_bytes: measured.wal_bytes.map(digits),
        autovacuums: row.get(1),
        table_bytes: row.get(2),
        index_bytes: row.get(3),
        free_bytes,
    })
}
