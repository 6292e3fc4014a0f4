//! `table-size.svg`: what a transfer takes as the ledger grows.

use super::COLORS;
use crate::compare::cell::thousands;
use crate::compare::growth::{Growth, Point};
use crate::plot::{Area, Axis, Failed, Frame, Line, Stroke, write};

pub(super) const SIZE: (u32, u32) = (1200, 470);
const KEY: u32 = 60;

/// What is drawn against the size: a title, a unit, and the value.
struct Panel(&'static str, &'static str, fn(&Point) -> Option<f64>);

const PANELS: [Panel; 3] = [
    Panel("Throughput", "transfers a second", |point| Some(point.transfers_per_second)),
    Panel("CPU of the backends", "microseconds a transfer", |point| point.backend_cpu_us),
    Panel("Write-ahead log", "bytes a transfer", |point| point.wal_bytes),
];

pub(super) fn draw(area: &Area<'_>, growth: &Growth) -> Result<(), Failed> {
    let (key, below) = area.split_vertically(KEY);
    write(&key, "What a transfer takes as the ledger grows", (16, 8), 16, crate::plot::INK)?;
    let ledgers = ledgers(growth);
    for (number, accounts) in ledgers.iter().enumerate() {
        let name = format!("● {} accounts", thousands(*accounts));
        write(&key, &name, (16 + 190 * number as i32, 34), 13, COLORS[number % COLORS.len()])?;
    }
    for (place, Panel(title, unit, value)) in
        below.split_evenly((1, PANELS.len())).iter().zip(PANELS)
    {
        let line = |(number, accounts): (usize, &u64)| {
            let own = growth.points.iter().filter(|point| point.accounts == *accounts);
            let at = |point: &Point| {
                let value = value(point)?;
                Some((point.transfers as f64 / 1e6, value, value..value))
            };
            Line {
                name: thousands(*accounts),
                color: COLORS[number % COLORS.len()],
                stroke: Stroke::Thin,
                points: own.filter_map(at).collect(),
            }
        };
        let lines: Vec<_> = ledgers.iter().enumerate().map(line).collect();
        let points = || lines.iter().flat_map(|line| &line.points);
        let x = Axis::from_zero("million transfers in the ledger", points().map(|(x, ..)| *x));
        let y = Axis::from_zero(unit, points().map(|(_, y, _)| *y));
        let frame = Frame::new(place, title, x, y, 40)?;
        lines.iter().try_for_each(|line| frame.line(line))?;
    }
    Ok(())
}

/// By their numbers of accounts, as they come.
pub(in crate::compare) fn ledgers(growth: &Growth) -> Vec<u64> {
    let mut ledgers: Vec<u64> = growth.points.iter().map(|point| point.accounts).collect();
    ledgers.dedup();
    ledgers
}
