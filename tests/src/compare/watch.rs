//! What a measured window took of the machine: read at both ends.

use super::raw::{Latency, Measured};
use crate::nemesis::children;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;
use tokio_postgres::Client;

const COUNTERS: &str =
    "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8, xact_commit
   FROM pg_stat_database WHERE datname = current_database()";
const SESSIONS: &str = "SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = $1 AND backend_type = 'client backend'";

/// Who does the work.
pub(super) struct Watch<'a> {
    pub(super) client: &'a Client,
    /// `application_name` of the sessions whose backends count.
    pub(super) sessions: &'a str,
    /// Whose children all processes of PostgreSQL are.
    pub(super) postmaster: u32,
    /// The generator of the load, when it is another process.
    pub(super) generator: Option<u32>,
}

/// An end of the window.
pub(super) struct Reading {
    /// Microseconds since 1970.
    pub(super) at: u64,
    wal: i64,
    commits: i64,
    backends: BTreeMap<u32, f64>,
    postgres: f64,
    generator: Option<f64>,
    tool: f64,
}

/// Both.
pub(super) struct Window {
    pub(super) from: Reading,
    pub(super) to: Reading,
}

impl Watch<'_> {
    /// Lets the load run, and returns what the measured part of it took.
    pub(super) async fn window(&self, warmup: f64, seconds: f64) -> Result<Window, String> {
        sleep(Duration::from_secs_f64(warmup)).await;
        let from = self.read().await?;
        sleep(Duration::from_secs_f64(seconds)).await;
        Ok(Window { from, to: self.read().await? })
    }

    /// How many sessions there are.
    pub(super) async fn count(&self) -> Result<usize, String> {
        Ok(self.processes().await?.len())
    }

    async fn processes(&self) -> Result<Vec<u32>, String> {
        let rows = self.client.query(SESSIONS, &[&self.sessions]).await;
        let rows = rows.map_err(|error| format!("the sessions: {error}"))?;
        Ok(rows.iter().map(|row| row.get::<_, i32>(0).unsigned_abs()).collect())
    }

    async fn read(&self) -> Result<Reading, String> {
        let row = self.client.query_one(COUNTERS, &[]).await;
        let row = row.map_err(|error| format!("the counters: {error}"))?;
        let backends = self.processes().await?;
        let backends = backends.into_iter().map(|pid| Ok((pid, cpu_seconds(pid)?)));
        Ok(Reading {
            at: now(),
            wal: row.get(0),
            commits: row.get(1),
            backends: backends.collect::<Result<_, String>>()?,
            postgres: postgres_seconds(self.postmaster)?,
            generator: self.generator.map(cpu_seconds).transpose()?,
            tool: cpu_seconds(std::process::id())?,
        })
    }
}

impl Window {
    pub(super) fn seconds(&self) -> f64 {
        (self.to.at - self.from.at) as f64 / 1e6
    }

    /// With what was done in it.
    pub(super) fn measured(&self, transfers: u64, latencies: Vec<u32>) -> Result<Measured, String> {
        let Self { from, to } = self;
        if transfers == 0 {
            return Err("nothing was done in the window".into());
        }
        if !from.backends.keys().eq(to.backends.keys()) {
            return Err("sessions came or went in the window".into());
        }
        let each = |amount: f64| amount / transfers as f64;
        let backends = to.backends.values().sum::<f64>() - from.backends.values().sum::<f64>();
        let commits = to.commits - from.commits;
        Ok(Measured {
            seconds: self.seconds(),
            transfers_per_second: transfers as f64 / self.seconds(),
            latency_ms: Latency::of(latencies),
            backend_cpu_us: Some(each(backends * 1e6)),
            postgres_cpu_us: Some(each((to.postgres - from.postgres) * 1e6)),
            wal_bytes: Some(each((to.wal - from.wal) as f64)),
            commits: Some(commits),
            transfers_per_commit: (commits > 0).then(|| transfers as f64 / commits as f64),
            client_cpu_seconds: from.generator.zip(to.generator).map(|(from, to)| to - from),
            tool_cores: Some((to.tool - from.tool) / self.seconds()),
            ..Measured::default()
        })
    }
}

/// User and system time of a process, in seconds; the clock ticks every 10 ms.
pub(super) fn cpu_seconds(process: u32) -> Result<f64, String> {
    Ok(times(process)?[..2].iter().sum())
}

/// Of all processes of PostgreSQL, those that have ended included.
fn postgres_seconds(postmaster: u32) -> Result<f64, String> {
    let own: f64 = times(postmaster)?.iter().sum();
    let children = children(postmaster as i32).into_iter();
    // One that has ended meanwhile is the postmaster's by now, but for this reading.
    Ok(own + children.filter_map(|child| cpu_seconds(child.unsigned_abs()).ok()).sum::<f64>())
}

/// Of a process, and of its children that have ended, user and system time each.
fn times(process: u32) -> Result<[f64; 4], String> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name before the last parenthesis may contain anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut ticks = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let mut times = [0.0; 4];
    for time in &mut times {
        let Some(Ok(ticks)) = ticks.next() else { return Err(format!("{path}: not understood")) };
        *time = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    }
    Ok(times)
}

/// Microseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_micros() as u64
}
