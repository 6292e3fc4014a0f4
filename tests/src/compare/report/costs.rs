//! What a transfer takes: time, processor and log.

use crate::compare::cell::{Condition, Contender, Driver, thousands};
use crate::compare::raw::{Measured, Raw, Rounds};
use crate::compare::spread::{Spread, short, whole};
use clap::ValueEnum;
use std::fmt::Write;

/// Of Giro over HTTP with each number of clients.
pub(super) fn of_giro(raw: &Raw, condition: Condition) -> String {
    let mut cells: Vec<_> = closed_loop(raw, condition)
        .filter(|it| it.cell.contender.driver() == Driver::Giro)
        .collect();
    cells.sort_by_key(|it| (it.cell.contender, it.cell.clients));
    table("with each number of clients", condition, &cells)
}

/// Of each contender with the number of clients that brought the most.
pub(super) fn of_everybody(raw: &Raw, condition: Condition) -> String {
    let best = |who: &Contender| {
        let own = closed_loop(raw, condition).filter(|it| it.cell.contender == *who);
        own.max_by(|one, other| rate(one).total_cmp(&rate(other)))
    };
    let cells: Vec<_> = Contender::value_variants().iter().filter_map(best).collect();
    table("with the number of clients that brought the most", condition, &cells)
}

fn closed_loop(raw: &Raw, condition: Condition) -> impl Iterator<Item = &Rounds> {
    let is = move |it: &&Rounds| it.cell.condition == condition && it.cell.part_of_peak.is_none();
    raw.cells.iter().filter(is)
}

fn rate(cell: &Rounds) -> f64 {
    let rates = cell.rounds.iter().map(|it| it.transfers_per_second);
    Spread::of(rates).map_or(0.0, |it| it.median)
}

fn table(clients: &str, condition: Condition, cells: &[&Rounds]) -> String {
    if cells.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "What a transfer takes, {}, {clients}:\n\n\
         | | clients | transfers/s | p50 | p99 | transfers a commit | CPU of its backends | of all of \
         PostgreSQL | of the server | of the generator | WAL |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        condition.title()
    );
    let micros = |seconds: Option<f64>, it: &Measured| {
        seconds.map(|seconds| seconds * 1e6 / (it.transfers_per_second * it.seconds))
    };
    for of in cells {
        let value = |value: &dyn Fn(&Measured) -> Option<f64>, unit: &str| {
            let values = Spread::of(of.rounds.iter().filter_map(value));
            values.map_or("–".to_owned(), |it| format!("{}{unit}", short(it.median)))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            of.cell.contender.title(),
            thousands(of.cell.clients.into()),
            whole(rate(of)),
            value(&|it| Some(it.latency_ms.as_ref()?.p50), " ms"),
            value(&|it| Some(it.latency_ms.as_ref()?.p99), " ms"),
            value(&|it| it.transfers_per_commit, ""),
            value(&|it| it.backend_cpu_us, " µs"),
            value(&|it| it.postgres_cpu_us, " µs"),
            value(&|it| micros(it.server_cpu_seconds, it), " µs"),
            value(&|it| micros(it.client_cpu_seconds, it), " µs"),
            value(&|it| it.wal_bytes, " B"),
        );
    }
    text + "\n"
}
