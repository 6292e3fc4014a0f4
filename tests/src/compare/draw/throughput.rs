//! `throughput.svg`: transfers a second against clients, in the large for the first condition, and small for
//! each of the others.

use super::{CROWDS, color, first, line, others, rate, stroke};
use crate::compare::cell::{Condition, Contender, Driver};
use crate::compare::raw::Raw;
use crate::plot::{Area, Axis, Failed, Frame, Line, Stroke, write};
use plotters::prelude::*;

const LARGE: u32 = 620;
const SMALL: u32 = 335;
const COLUMNS: usize = 3;
/// Room for the names of lines.
const NAMES: i32 = 240;

/// With one session, whose calls carry 1,000.
const LEVELS: [Contender; 5] = [
    Contender::InsertPk,
    Contender::Insert,
    Contender::Copy,
    Contender::TpcbArrays,
    Contender::GiroFunction,
];

/// As high as there are conditions.
pub(super) fn size(raw: &Raw) -> (u32, u32) {
    (1200, LARGE + SMALL * rows(raw) as u32)
}

/// Of small pictures and their key.
fn rows(raw: &Raw) -> usize {
    let others = others(raw).len();
    if others == 0 { 0 } else { (others + 1).div_ceil(COLUMNS) }
}

pub(super) fn draw(area: &Area<'_>, raw: &Raw) -> Result<(), Failed> {
    let Some(condition) = first(raw) else { return Ok(()) };
    let (large, below) = area.split_vertically(LARGE);
    let lines = lines(raw, condition);
    let most = clients(&lines).into_iter().fold(1.0, f64::max);
    let levels: Vec<Line> = LEVELS
        .into_iter()
        .map(|who| line(raw, who, condition, rate))
        .filter(|level| !level.points.is_empty())
        .map(|mut level| {
            level.points.truncate(1);
            level.points[0].0 = most;
            level
        })
        .collect();
    let all: Vec<&Line> = lines.iter().chain(&levels).collect();
    let y = values(all.iter().copied());
    let title = format!("Transfers a second against clients, {}", condition.title());
    let frame = Frame::new(&large, &title, Axis::values(CLIENTS, clients(&lines)), axis(y), NAMES)?;
    for level in &levels {
        frame.level(level)?;
    }
    for line in lines.iter().rev() {
        frame.line(line)?;
    }
    frame.names(&all)?;

    let conditions = others(raw);
    // One scale, so that the small pictures can be compared.
    let small: Vec<_> = conditions.iter().map(|it| self::lines(raw, *it)).collect();
    let y: Vec<f64> = values(small.iter().flatten());
    let places = below.split_evenly((rows(raw).max(1), COLUMNS));
    for ((place, condition), lines) in places.iter().zip(&conditions).zip(&small) {
        let title = condition.title();
        let x = Axis::values(CLIENTS, clients(lines));
        let frame = Frame::new(place, &title, x, axis(y.clone()), 24)?;
        lines.iter().rev().try_for_each(|line| frame.line(line))?;
    }
    if let Some(place) = places.get(conditions.len()).filter(|_| !conditions.is_empty()) {
        key(place)?;
    }
    Ok(())
}

const CLIENTS: &str = "clients";

fn axis(values: Vec<f64>) -> Axis {
    Axis::decades("transfers a second", values)
}

fn lines(raw: &Raw, condition: Condition) -> Vec<Line> {
    let crowds = CROWDS.into_iter().filter(|who| who.driver() != Driver::Session);
    let lines = crowds.map(|who| line(raw, who, condition, rate));
    lines.filter(|line| !line.points.is_empty()).collect()
}

fn clients(lines: &[Line]) -> Vec<f64> {
    lines.iter().flat_map(|line| &line.points).map(|(clients, ..)| *clients).collect()
}

fn values<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<f64> {
    let points = lines.into_iter().flat_map(|line| &line.points);
    points.flat_map(|(_, _, range)| [range.start, range.end]).collect()
}

/// The colours of the small pictures.
fn key(area: &Area<'_>) -> Result<(), Failed> {
    for (row, who) in (0..).zip(CROWDS) {
        let y = 70 + 26 * row;
        let width = if stroke(who) == Stroke::Thick { 3 } else { 1 };
        let style = color(who).stroke_width(width);
        area.draw(&PathElement::new(vec![(60, y), (100, y)], style))?;
        area.draw(&Circle::new((80, y), 3, color(who).filled()))?;
        write(area, who.title(), (112, y - 8), 13, color(who))?;
    }
    Ok(())
}
