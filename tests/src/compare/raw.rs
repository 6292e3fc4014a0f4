//! The raw file: where it was measured, and every round of every cell on a line of its own.

use super::cell::Cell;
use super::origin::Origin;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// Everything that a run has found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Raw {
    /// Where, of what and when.
    #[serde(flatten)]
    pub origin: Origin,
    /// In the order in which they were first measured.
    pub cells: Vec<Rounds>,
    /// What could not be measured, and why.
    pub failures: Vec<Failed>,
}

/// A cell as often as it was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rounds {
    /// Which.
    pub cell: Cell,
    /// In the order of time.
    pub rounds: Vec<Measured>,
}

/// A cell that has no figure in a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failed {
    /// Which.
    pub cell: Cell,
    /// In which round, from 1.
    pub round: u32,
    /// Why.
    pub error: String,
}

/// What was found in one measured window.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Of the run, from 1.
    pub round: u32,
    /// Length of the window.
    pub seconds: f64,
    /// Transfers that were committed.
    pub transfers_per_second: f64,
    /// Of a transaction, a request or a call, in milliseconds.
    pub latency_ms: Option<Latency>,
    /// Requests a second that were to come, where they came by themselves.
    pub offered_per_second: Option<f64>,
    /// CPU of the backends that did the work, in microseconds for each transfer.
    pub backend_cpu_us: Option<f64>,
    /// The same of all processes of PostgreSQL.
    pub postgres_cpu_us: Option<f64>,
    /// Bytes of write-ahead log of the whole cluster for each transfer.
    pub wal_bytes: Option<f64>,
    /// Transactions that were committed in the database, by whomever; the counter may lag by a second.
    pub commits: Option<i64>,
    /// Transfers for each of them.
    pub transfers_per_commit: Option<f64>,
    /// CPU of the generator of the load, in seconds; not when it is this program.
    pub client_cpu_seconds: Option<f64>,
    /// CPU of the server in the middle, in seconds.
    pub server_cpu_seconds: Option<f64>,
    /// Cores that this program took: the proxies, and the sessions that it drives itself.
    pub tool_cores: Option<f64>,
    /// Transfers that were answered otherwise than by being applied.
    pub refused: u64,
    /// Workers of autovacuum at the beginning and at the end.
    pub autovacuum_workers: [i64; 2],
    /// Load average of the machine over a minute, before.
    pub load_average: f64,
}

/// Percentiles of a time, in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Of microseconds in any order; nothing of none.
    pub(super) fn of(mut microseconds: Vec<u32>) -> Option<Self> {
        microseconds.sort_unstable();
        let count = microseconds.len();
        let at = |part: f64| {
            let place = ((count as f64 * part).ceil() as usize).clamp(1, count) - 1;
            f64::from(microseconds[place]) / 1e3
        };
        (count > 0).then(|| Self {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            p99_9: at(0.999),
            max: at(1.0),
        })
    }
}

impl Measured {
    /// Leaves the digits that mean something.
    fn round(&mut self) {
        let optional = [
            &mut self.offered_per_second,
            &mut self.backend_cpu_us,
            &mut self.postgres_cpu_us,
            &mut self.wal_bytes,
            &mut self.transfers_per_commit,
            &mut self.client_cpu_seconds,
            &mut self.server_cpu_seconds,
            &mut self.tool_cores,
        ];
        let given = optional.into_iter().flatten();
        for value in given.chain([&mut self.seconds, &mut self.transfers_per_second]) {
            *value = format!("{value:.4e}").parse().expect("a number");
        }
    }
}

impl Raw {
    /// Reads a raw file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
    }

    /// Writes it whole, so that a run that is broken off leaves what it has.
    pub(super) fn save(&self, path: &Path) -> Result<(), String> {
        save(&self.text(), path)
    }

    /// As JSON, a line for every round.
    pub fn text(&self) -> String {
        let mut text = self.origin.text();
        let cells = self.cells.iter().map(|Rounds { cell, rounds }| {
            let rounds = rounds.iter().map(|round| format!("    {}", json(round)));
            format!("  {{\"cell\": {}, \"rounds\": [\n{}\n  ]}}", json(cell), joined(rounds))
        });
        let failures = self.failures.iter().map(|failed| format!("\n  {}", json(failed)));
        let (cells, failures) = (joined(cells), joined(failures));
        let _ = writeln!(text, "\"cells\": [\n{cells}\n],\n\"failures\": [{failures}]\n}}");
        text
    }

    /// What was measured of a cell.
    pub(super) fn rounds(&self, cell: &Cell) -> &[Measured] {
        let found = self.cells.iter().find(|rounds| rounds.cell == *cell);
        found.map_or(&[], |rounds| &rounds.rounds)
    }

    /// Adds a round of a cell.
    pub(super) fn add(&mut self, cell: Cell, mut measured: Measured) {
        measured.round();
        match self.cells.iter_mut().find(|rounds| rounds.cell == cell) {
            Some(found) => found.rounds.push(measured),
            None => self.cells.push(Rounds { cell, rounds: vec![measured] }),
        }
    }
}

pub(super) fn joined(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join(",\n")
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it has only text keys")
}

/// Puts a file in the place of another, whole or not at all.
pub(super) fn save(text: &str, path: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    let new = path.with_extension("json.new");
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
