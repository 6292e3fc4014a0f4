//! A run, from a fresh cluster to the raw file.

use super::cell::{Cell, Driver};
use super::draw::draw;
use super::giro::Giro;
use super::origin::Origin;
use super::plan::Plan;
use super::raw::{Failed, Measured, Raw};
use super::site::{Place, Site};
use super::stalls::stalls;
use super::{calls, fixture, machine, pgbench};
use crate::figures::open_many_files;
use futures_util::FutureExt;
use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The raw file in its directory.
pub(super) const FILE: &str = "comparison.json";
/// A cell takes no longer beside its load.
const CELL_MAX: Duration = Duration::from_secs(300);

/// Measures, and draws what it has measured. Whether every cell has its figures.
pub async fn run(plan: Plan) -> Result<bool, String> {
    open_many_files();
    let giro = Giro::new(plan.giro.clone()).await?;
    let count: usize = plan.round(1, giro.open_loop).iter().map(|block| block.cells.len()).sum();
    let time = humantime::format_duration(plan.estimate(giro.open_loop));
    if count == 0 {
        return Err("nothing to measure: giro-bulk has only so many clients that its transfers fit the queue".into());
    }
    let what = format!("cells of a round: {count}, rounds: {}, in about {time}", plan.rounds);
    if plan.dry_run {
        let cells = plan.round(1, giro.open_loop).into_iter().flat_map(|block| block.cells);
        let cells: String = cells.map(|cell| format!("  {cell}\n")).collect();
        // An error: the reader has seen enough.
        let _ = write!(io::stdout(), "{what}\n{cells}");
        return Ok(true);
    }
    eprintln!("{what}");
    if !giro.open_loop {
        eprintln!("this giro bench has no --arrivals: nothing is measured at a part of the peak");
    }
    let path = plan.out.join(FILE);
    std::fs::create_dir_all(&plan.out).map_err(|e| format!("{}: {e}", plan.out.display()))?;
    // No longer than a cell, so that a short run is short.
    let stalls = stalls(Duration::from_secs_f64(plan.seconds.min(5.0))).await;
    let site = Site::start(&plan.settings).await?;
    let here =
        machine::begin(&plan.giro, &site.binaries, site.cluster.data_dir(), &site.admin).await?;
    let here = Origin { stalls: stalls.to_string(), ..here };
    let raw = beginning(&plan, here, &path)?;
    let mut run = Run { plan, giro, site, raw, path, began: Instant::now() };
    run.rounds().await?;
    draw(&run.plan.out, &run.plan.document)?;
    let failures = &run.raw.failures;
    for Failed { cell, round, error } in failures {
        eprintln!("not measured: round {round}, {cell}: {error}");
    }
    for figure in super::figures(&run.raw) {
        eprintln!("{figure}");
    }
    Ok(failures.is_empty())
}

/// What is there already, if it is to be kept and was measured alike. Contenders, clients and conditions may be
/// others: a comparison can be made in parts.
fn beginning(plan: &Plan, here: Origin, path: &Path) -> Result<Raw, String> {
    let here = Origin { plan: plan.facts(), ..here };
    if !plan.resume || !path.exists() {
        return Ok(Raw { origin: here, ..Raw::default() });
    }
    let raw = Raw::load(path)?;
    let old = &raw.origin;
    let mut differs = None;
    for (name, old, new) in [
        ("machine", &old.machine, &here.machine),
        ("versions", &old.versions, &here.versions),
        ("settings", &old.settings, &here.settings),
        ("plan", &old.plan, &here.plan),
    ] {
        differs = differs.or((old != new).then_some(name));
    }
    match differs {
        Some(name) => {
            Err(format!("{} is of another {name}: begin without --resume", path.display()))
        }
        None => Ok(Raw { failures: Vec::new(), ..raw }),
    }
}

struct Run {
    plan: Plan,
    giro: Giro,
    site: Site,
    raw: Raw,
    path: PathBuf,
    began: Instant,
}

impl Run {
    async fn rounds(&mut self) -> Result<(), String> {
        let mut prepared = false;
        for round in 1..=self.plan.rounds {
            for block in self.plan.round(round, self.giro.open_loop) {
                let has = |cell: &Cell| self.raw.rounds(cell).iter().any(|it| it.round == round);
                let missing: Vec<_> = block.cells.into_iter().filter(|cell| !has(cell)).collect();
                if missing.is_empty() {
                    continue;
                }
                if !prepared {
                    eprintln!("making the accounts …");
                    self.site.prepare(&self.plan, &self.giro).await?;
                    prepared = true;
                }
                let place = self.site.place(block.condition).await?;
                for cell in missing {
                    machine::has_room(self.site.cluster.data_dir(), self.plan.min_free)?;
                    self.cell(&place, cell, round).await?;
                }
                self.site.leave(place).await?;
            }
        }
        Ok(())
    }

    async fn cell(&mut self, place: &Place, cell: Cell, round: u32) -> Result<(), String> {
        let limit = CELL_MAX + Duration::from_secs_f64(self.plan.warmup + self.plan.seconds);
        // What the harness panics about is the failure of this cell; its message is on the terminal.
        let measuring = AssertUnwindSafe(self.measure(place, &cell, round)).catch_unwind();
        let measured = match timeout(limit, measuring).await {
            Ok(measured) => measured.unwrap_or_else(|_| Err("it panicked".into())),
            Err(_) => Err(format!("not done within {limit:?}")),
        };
        let at = humantime::format_duration(Duration::from_secs(self.began.elapsed().as_secs()));
        match measured {
            Ok(measured) => {
                let rate = measured.transfers_per_second;
                eprintln!("{at}, round {round}: {cell}: {rate:.0} transfers/s");
                self.raw.add(cell, Measured { round, ..measured });
            }
            Err(error) => {
                eprintln!("{at}, round {round}: {cell}: {error}");
                self.raw.failures.push(Failed { cell, round, error });
            }
        }
        self.raw.save(&self.path)
    }

    /// From a state that is the same for all: no page of the contended tables is full of dead rows, and
    /// nothing is to be written.
    async fn measure(&self, place: &Place, cell: &Cell, round: u32) -> Result<Measured, String> {
        let rate = match cell.part_of_peak {
            None => None,
            Some(part) => Some(part * self.peak(cell, round).ok_or("its peak is not known")?),
        };
        for sql in [fixture::vacuum(cell.contender), "CHECKPOINT"] {
            let done = place.watcher.batch_execute(sql).await;
            done.map_err(|error| format!("{sql}: {error}"))?;
        }
        let load_average = machine::load_average();
        let before = workers(place).await?;
        let measured = match cell.contender.driver() {
            Driver::Pgbench => {
                pgbench::run(&self.plan, &self.site.binaries, place, cell, rate).await?
            }
            Driver::Giro => self.giro.run(&self.plan, place, cell, rate).await?,
            Driver::Session => calls::run(&self.plan, place, cell).await?,
        };
        let autovacuum_workers = [before, workers(place).await?];
        Ok(Measured { load_average, autovacuum_workers, ..measured })
    }

    /// The contender's highest throughput of the round under the same condition.
    fn peak(&self, cell: &Cell, round: u32) -> Option<f64> {
        let same = |other: &Cell| {
            other.contender == cell.contender
                && other.condition == cell.condition
                && other.part_of_peak.is_none()
        };
        let cells = self.raw.cells.iter().filter(|rounds| same(&rounds.cell));
        let all = cells.flat_map(|rounds| &rounds.rounds).filter(|it| it.round == round);
        all.map(|it| it.transfers_per_second).max_by(f64::total_cmp)
    }
}

async fn workers(place: &Place) -> Result<i64, String> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'";
    let row = place.watcher.query_one(sql, &[]).await;
    row.map(|row| row.get(0)).map_err(|error| format!("{sql}: {error}"))
}
