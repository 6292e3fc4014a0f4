//! `latency.svg`: how long an answer takes against how many there are, for half of the answers and for 99 %.

use super::{CROWDS, by_clients, color, first, rate, stroke};
use crate::compare::cell::Contender;
use crate::compare::raw::{Latency, Measured, Raw};
use crate::compare::spread::Spread;
use crate::plot::{Area, Axis, Failed, Frame, Line, Stroke, write};

pub(super) const SIZE: (u32, u32) = (1200, 600);
const KEY: u32 = 66;

pub(super) fn draw(area: &Area<'_>, raw: &Raw) -> Result<(), Failed> {
    let (key, below) = area.split_vertically(KEY);
    write(&key, TITLE, (16, 8), 16, crate::plot::INK)?;
    let mut at = 16;
    for who in CROWDS {
        write(&key, &format!("● {}", who.title()), (at, 34), 13, color(who))?;
        at += 40 + 7 * who.title().chars().count() as i32;
    }
    write(&key, "- - requests come by themselves", (at, 34), 13, crate::plot::INK)?;
    let quantiles = [
        Quantile("half of the answers", |it| it.p50),
        Quantile("99 % of the answers", |it| it.p99),
    ];
    let sides = quantiles.each_ref().map(|Quantile(_, value)| lines(raw, *value));
    // One scale for both.
    let points = || sides.iter().flatten().flat_map(|(line, _)| &line.points);
    let (x, y): (Vec<_>, Vec<_>) = points().map(|(x, y, _)| (*x, *y)).unzip();
    for ((place, Quantile(title, _)), lines) in
        below.split_evenly((1, 2)).iter().zip(quantiles).zip(&sides)
    {
        let x = Axis::decades("transfers a second", x.clone());
        let y = Axis::decades("milliseconds", y.clone());
        let frame = Frame::new(place, title, x, y, 30)?;
        for (line, clients) in lines {
            frame.line(line)?;
            for ((x, y, _), clients) in line.points.iter().zip(clients) {
                if [1, 64, 1024].contains(clients) {
                    frame.note(*x, *y, &clients.to_string(), line.color)?;
                }
            }
        }
    }
    Ok(())
}

const TITLE: &str =
    "How long an answer takes against how many there are; the small numbers are clients";

/// What part of the answers is as quick, in words and in milliseconds.
struct Quantile(&'static str, fn(&Latency) -> f64);

/// One for each contender, from few clients to many, and where requests come by themselves.
fn lines(raw: &Raw, value: fn(&Latency) -> f64) -> Vec<(Line, Vec<u32>)> {
    let Some(condition) = first(raw) else { return Vec::new() };
    let value = |it: &Measured| it.latency_ms.as_ref().map(value);
    let closed = CROWDS.into_iter().map(|who| {
        let (rates, times) =
            (by_clients(raw, who, condition, rate), by_clients(raw, who, condition, value));
        let both = rates.into_iter().zip(times);
        let (points, clients) = both.map(|((n, x), (_, y))| (point(x, y), n)).unzip();
        (line(who, stroke(who), points), clients)
    });
    let open = [Contender::Giro, Contender::Tpcb].map(|who| {
        let mut cells: Vec<_> = raw
            .cells
            .iter()
            .filter(|it| it.cell.contender == who && it.cell.part_of_peak.is_some())
            .filter(|it| it.cell.clients == who.open_loop_clients())
            .filter_map(|it| {
                let x = Spread::of(it.rounds.iter().filter_map(rate))?;
                Some(point(x, Spread::of(it.rounds.iter().filter_map(value))?))
            })
            .collect();
        cells.sort_by(|one, other| one.0.total_cmp(&other.0));
        (line(who, Stroke::Dashed, cells), Vec::new())
    });
    closed.chain(open).filter(|(line, _)| !line.points.is_empty()).collect()
}

fn point(x: Spread, y: Spread) -> (f64, f64, std::ops::Range<f64>) {
    (x.median, y.median, y.low..y.high)
}

fn line(who: Contender, stroke: Stroke, points: Vec<(f64, f64, std::ops::Range<f64>)>) -> Line {
    Line { name: who.title().into(), color: color(who), stroke, points }
}
