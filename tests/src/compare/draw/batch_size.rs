//! `batch-size.svg`: how many transfers Giro brings into one commit as more clients wait.

use super::{COLORS, by_clients, first, others};
use crate::compare::cell::Contender;
use crate::compare::raw::Raw;
use crate::compare::spread::Spread;
use crate::plot::{Area, Axis, Failed, Frame, Line, Stroke};

pub(super) const SIZE: (u32, u32) = (1000, 520);

pub(super) fn draw(area: &Area<'_>, raw: &Raw) -> Result<(), Failed> {
    let Some(condition) = first(raw) else { return Ok(()) };
    let conditions = [condition].into_iter().chain(others(raw));
    let mut lines = Vec::new();
    for (number, condition) in conditions.enumerate() {
        let values = by_clients(raw, Contender::Giro, condition, |it| it.transfers_per_commit);
        let point = |(clients, Spread { median, low, high }): (u32, Spread)| {
            (f64::from(clients), median, low..high)
        };
        let stroke = if number == 0 { Stroke::Thick } else { Stroke::Thin };
        let points: Vec<_> = values.into_iter().map(point).collect();
        let color = COLORS[number % COLORS.len()];
        lines.push(Line { name: condition.title(), color, stroke, points });
    }
    lines.retain(|line| !line.points.is_empty());
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::values("clients", points().map(|(x, ..)| *x).collect());
    let y =
        Axis::decades("transfers a commit", points().flat_map(|(_, y, r)| [*y, r.start, r.end]));
    let title = "Giro's batches grow with the clients that wait";
    let frame = Frame::new(area, title, x, y, 240)?;
    lines.iter().rev().try_for_each(|line| frame.line(line))?;
    frame.names(&lines.iter().collect::<Vec<_>>())
}
