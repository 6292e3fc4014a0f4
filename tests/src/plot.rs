//! Pictures as SVG: a frame with axes of either kind, lines whose names stand at their ends.

mod axis;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::ops::Range;

pub(crate) use axis::Axis;

/// A part of a picture.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Why there is no picture.
pub(crate) type Failed = Box<dyn Error>;

/// Of text.
pub(crate) const INK: RGBColor = RGBColor(40, 44, 52);
/// Of what is behind.
pub(crate) const GRID: RGBColor = RGBColor(225, 228, 233);

/// Between the names of two lines.
const NAME_HEIGHT: i32 = 16;

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Thick,
    Thin,
    Dashed,
}

/// A line, or a level.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) color: RGBColor,
    pub(crate) stroke: Stroke,
    /// x, y, and the lowest and highest y that were measured there.
    pub(crate) points: Vec<(f64, f64, Range<f64>)>,
}

/// The place for lines.
pub(crate) struct Frame<'a, 'b> {
    area: &'a Area<'b>,
    x: Axis,
    y: Axis,
    across: Range<i32>,
    /// From the top.
    down: Range<i32>,
}

/// Text of a size.
pub(crate) fn style(size: u32, color: RGBColor, across: HPos, down: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color).pos(Pos::new(across, down))
}

/// Writes a line of text that begins there.
pub(crate) fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: u32,
    color: RGBColor,
) -> Result<(), Failed> {
    area.draw(&Text::new(text.to_owned(), at, style(size, color, HPos::Left, VPos::Top)))?;
    Ok(())
}

impl<'a, 'b> Frame<'a, 'b> {
    /// Draws the axes. `right` is the room for names, in pixels.
    pub(crate) fn new(
        area: &'a Area<'b>,
        title: &str,
        x: Axis,
        y: Axis,
        right: i32,
    ) -> Result<Self, Failed> {
        let (width, height) = area.dim_in_pixel();
        let (across, down) = (70..width as i32 - right, 52..height as i32 - 46);
        write(area, title, (16, 6), 16, INK)?;
        write(area, &y.caption, (16, 29), 13, INK)?;
        let middle = (across.start + across.end) / 2;
        let caption = style(13, INK, HPos::Center, VPos::Top);
        area.draw(&Text::new(x.caption.clone(), (middle, down.end + 24), caption))?;
        let frame = Self { area, x, y, across, down };
        for (tick, name) in &frame.x.ticks {
            let (x, _) = frame.place(*tick, frame.y.range.start);
            frame.path(&[(x, frame.down.start), (x, frame.down.end)], GRID, Stroke::Thin)?;
            let text = style(13, INK, HPos::Center, VPos::Top);
            area.draw(&Text::new(name.clone(), (x, frame.down.end + 6), text))?;
        }
        for (tick, name) in &frame.y.ticks {
            let (_, y) = frame.place(frame.x.range.start, *tick);
            frame.path(&[(frame.across.start, y), (frame.across.end, y)], GRID, Stroke::Thin)?;
            let text = style(13, INK, HPos::Right, VPos::Center);
            area.draw(&Text::new(name.clone(), (frame.across.start - 8, y), text))?;
        }
        Ok(frame)
    }

    /// In pixels.
    fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let Self { across, down, .. } = self;
        let part =
            |part: f64, length: i32| (part.clamp(0.0, 1.0) * f64::from(length)).round() as i32;
        (
            across.start + part(self.x.place(x), across.end - across.start),
            down.end - part(self.y.place(y), down.end - down.start),
        )
    }

    fn path(&self, points: &[(i32, i32)], color: RGBColor, stroke: Stroke) -> Result<(), Failed> {
        match stroke {
            Stroke::Dashed => {
                for pair in points.windows(2) {
                    self.dashes(pair[0], pair[1], color)?;
                }
            }
            Stroke::Thick | Stroke::Thin => {
                let width = if stroke == Stroke::Thick { 3 } else { 1 };
                let style = color.stroke_width(width);
                self.area.draw(&PathElement::new(points.to_vec(), style))?;
            }
        }
        Ok(())
    }

    fn dashes(&self, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Result<(), Failed> {
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy);
        let at = |along: f64| {
            let part = (along / length).min(1.0);
            (from.0 + (dx * part).round() as i32, from.1 + (dy * part).round() as i32)
        };
        let mut along = 0.0;
        while along < length {
            let dash = vec![at(along), at(along + 6.0)];
            self.area.draw(&PathElement::new(dash, color.stroke_width(2)))?;
            along += 10.0;
        }
        Ok(())
    }

    /// Draws a line with a mark at every point, and what lies between the rounds.
    pub(crate) fn line(&self, line: &Line) -> Result<(), Failed> {
        let Line { color, stroke, points, .. } = line;
        let places: Vec<_> = points.iter().map(|(x, y, _)| self.place(*x, *y)).collect();
        if places.len() > 1 {
            self.path(&places, *color, *stroke)?;
        }
        for ((x, _, range), place) in points.iter().zip(&places) {
            let (top, bottom) = (self.place(*x, range.end).1, self.place(*x, range.start).1);
            if bottom - top > 4 {
                self.path(&[(place.0, top), (place.0, bottom)], *color, Stroke::Thin)?;
            }
            self.area.draw(&Circle::new(*place, 3, color.filled()))?;
        }
        Ok(())
    }

    /// Draws a height that does not depend on x.
    pub(crate) fn level(&self, line: &Line) -> Result<(), Failed> {
        let Some((_, y, _)) = line.points.first() else { return Ok(()) };
        let (_, y) = self.place(self.x.range.start, *y);
        self.path(&[(self.across.start, y), (self.across.end, y)], line.color, line.stroke)
    }

    /// Writes beside a point.
    pub(crate) fn note(&self, x: f64, y: f64, text: &str, color: RGBColor) -> Result<(), Failed> {
        let (x, y) = self.place(x, y);
        let text =
            Text::new(text.to_owned(), (x + 6, y - 4), style(11, color, HPos::Left, VPos::Bottom));
        self.area.draw(&text)?;
        Ok(())
    }

    /// Writes the names of lines beside their ends, each where no other is.
    pub(crate) fn names(&self, lines: &[&Line]) -> Result<(), Failed> {
        let right = self.across.end;
        let mut ends: Vec<_> = lines
            .iter()
            .filter_map(|line| {
                let (x, y, _) = line.points.last()?;
                let (x, y) = self.place(*x, *y);
                Some((*line, x, y))
            })
            .collect();
        ends.sort_by_key(|(_, _, y)| *y);
        let wanted: Vec<_> = ends.iter().map(|(_, _, y)| *y).collect();
        let places = apart(&wanted, self.down.clone());
        for ((line, x, y), at) in ends.iter().zip(places) {
            // Faint, or it would look as if the line went on.
            let leader = vec![(*x + 4, *y), (right + 8, *y), (right + 18, at)];
            self.area.draw(&PathElement::new(leader, line.color.mix(0.3)))?;
            let text = style(13, line.color, HPos::Left, VPos::Center);
            self.area.draw(&Text::new(line.name.clone(), (right + 22, at), text))?;
        }
        Ok(())
    }
}

/// Heights near the wanted ones, which ascend, with room for a name between each two.
fn apart(wanted: &[i32], within: Range<i32>) -> Vec<i32> {
    let mut places = wanted.to_vec();
    let mut free = within.start;
    for place in &mut places {
        *place = (*place).max(free);
        free = *place + NAME_HEIGHT;
    }
    let mut free = within.end;
    for place in places.iter_mut().rev() {
        *place = (*place).min(free);
        free = *place - NAME_HEIGHT;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lie_on_each_other() {
        assert_eq!(apart(&[10, 12, 100], 0..200), [10, 26, 100]);
        assert_eq!(apart(&[195, 198, 199], 0..200), [168, 184, 200]);
    }
}
