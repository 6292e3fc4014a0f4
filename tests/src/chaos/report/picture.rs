//! `timeline.svg`: what callers were told, how long it took, and what happened meanwhile, one above the
//! other on the same time.

use crate::chaos::timeline::{BIN, Bin, Outcome, Timeline};
use crate::plot::{Area, GRID, INK, write};
use giro_checker::history::FaultSpan;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const WIDTH: u32 = 1200;
const ITEMS: u32 = 280;
const LATENCY: u32 = 220;
/// Of one kind of fault.
const ROW: u32 = 18;
const TITLE: u32 = 40;
const AXIS: u32 = 45;
/// Left of all charts, so that their times are one above the other.
const LABELS: u32 = 150;
/// A picture has no more columns than this.
const COLUMNS: usize = 600;

const CUT: RGBColor = RGBColor(178, 58, 72);
const OTHER: RGBColor = RGBColor(91, 122, 168);

/// A stack is drawn from the first to the last.
const COLORS: [(Outcome, RGBColor); 4] = [
    (Outcome::Applied, RGBColor(76, 159, 112)),
    (Outcome::Rejected, RGBColor(232, 184, 75)),
    (Outcome::NotApplied, RGBColor(185, 192, 203)),
    (Outcome::Unknown, RGBColor(209, 73, 91)),
];

/// Draws it.
pub(super) fn draw(
    path: &Path,
    title: &str,
    timeline: &Timeline,
    faults: &[FaultSpan],
) -> Result<(), Box<dyn Error>> {
    let columns = Columns::of(timeline);
    let kinds = kinds(faults);
    let rows = kinds.len() as u32 * ROW;
    let height = TITLE + ITEMS + LATENCY + rows + AXIS + 20;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (16, 12), ("sans-serif", 20).into_font().color(&INK)))?;
    let (_, below) = root.split_vertically(TITLE);
    let (items, below) = below.split_vertically(ITEMS);
    let (latency, below) = below.split_vertically(LATENCY);
    draw_items(&items, &columns, faults)?;
    draw_latency(&latency, &columns, faults)?;
    draw_faults(&below, &columns, &kinds, faults)?;
    root.present()?;
    Ok(())
}

/// Bins, put together so that they fit.
struct Columns {
    seconds: f64,
    bins: Vec<Bin>,
}

impl Columns {
    fn of(timeline: &Timeline) -> Self {
        let each = timeline.bins.len().div_ceil(COLUMNS).max(2);
        let merge = |bins: &[Bin]| {
            let mut merged = Bin::default();
            for bin in bins {
                for (sum, items) in merged.items.iter_mut().zip(bin.items) {
                    *sum += items;
                }
                merged.latencies.extend(&bin.latencies);
            }
            merged.latencies.sort_unstable();
            merged
        };
        let seconds = BIN as f64 / 1e9 * each as f64;
        Self { seconds, bins: timeline.bins.chunks(each).map(merge).collect() }
    }

    fn end(&self) -> f64 {
        self.seconds * self.bins.len().max(1) as f64
    }

    /// Every column with its beginning and its end.
    fn iter(&self) -> impl Iterator<Item = (f64, f64, &Bin)> {
        let at = |column: usize| self.seconds * column as f64;
        self.bins.iter().enumerate().map(move |(n, bin)| (at(n), at(n + 1), bin))
    }

    /// Milliseconds that this part of a column's requests did not exceed; only where some were decided.
    fn quantile(&self, part: f64) -> Vec<Vec<(f64, f64)>> {
        let mut lines = vec![Vec::new()];
        for (from, to, bin) in self.iter() {
            let count = bin.latencies.len();
            let last = lines.len() - 1;
            if count == 0 {
                if !lines[last].is_empty() {
                    lines.push(Vec::new());
                }
                continue;
            }
            let place = ((count as f64 * part).ceil() as usize).clamp(1, count) - 1;
            lines[last].push(((from + to) / 2.0, f64::from(bin.latencies[place]) / 1e3));
        }
        lines
    }
}

/// Rows of the lowest chart, crashes and cuts first, by name.
fn kinds(faults: &[FaultSpan]) -> Vec<(String, bool)> {
    let mut kinds = BTreeMap::new();
    for fault in faults {
        kinds.insert((!fault.crash_or_cut, fault.fault.clone()), ());
    }
    kinds.into_keys().map(|(other, name)| (name, !other)).collect()
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn color(crash_or_cut: bool) -> RGBColor {
    if crash_or_cut { CUT } else { OTHER }
}

/// When something was wrong, behind a chart.
fn shade<DB: DrawingBackend>(
    area: &DrawingArea<DB, Cartesian2d<RangedCoordf64, impl Ranged<ValueType = f64>>>,
    faults: &[FaultSpan],
    (bottom, top): (f64, f64),
) -> Result<(), Box<dyn Error>>
where
    DB::ErrorType: 'static,
{
    for fault in faults {
        let corners = [(seconds(fault.began), bottom), (seconds(fault.healed), top)];
        area.draw(&Rectangle::new(corners, color(fault.crash_or_cut).mix(0.10).filled()))?;
    }
    Ok(())
}

fn chart<'a, 'b>(
    area: &'a Area<'b>,
    caption: &str,
    end: f64,
    top: f64,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    say(area, caption)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(24)
        .margin_right(20)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    Ok(chart)
}

fn say(area: &Area<'_>, caption: &str) -> Result<(), Box<dyn Error>> {
    write(area, caption, (LABELS as i32, 6), 14, INK)
}

/// A square of a colour and its name; how far to the right the next one may begin.
fn key(area: &Area<'_>, at: i32, name: &str, color: RGBColor) -> Result<i32, Box<dyn Error>> {
    area.draw(&Rectangle::new([(at, 7), (at + 11, 18)], color.filled()))?;
    write(area, name, (at + 16, 6), 13, INK)?;
    Ok(at + 34 + 7 * name.len() as i32)
}

fn draw_items(
    area: &Area<'_>,
    columns: &Columns,
    faults: &[FaultSpan],
) -> Result<(), Box<dyn Error>> {
    let rate = |bin: &Bin| f64::from(bin.items.iter().sum::<u32>()) / columns.seconds;
    // A single burst may stand out of the picture, so that the rest can be read.
    let mut rates: Vec<_> = columns.bins.iter().map(rate).collect();
    rates.sort_by(f64::total_cmp);
    let most = rates.get(rates.len() * 99 / 100).copied().unwrap_or(1.0);
    let top = (most * 1.15).max(1.0);
    let mut chart = chart(area, "transfers answered a second", columns.end(), top)?;
    shade(chart.plotting_area(), faults, (0.0, top))?;
    let mut under: Vec<f64> = vec![0.0; columns.bins.len()];
    for (outcome, color) in COLORS {
        let bars = columns.iter().zip(&mut under).filter_map(|((from, to, bin), under)| {
            let bottom = *under;
            *under += f64::from(bin.items[outcome as usize]) / columns.seconds;
            let corners = [(from, bottom.min(top)), (to, under.min(top))];
            (*under > bottom).then(|| Rectangle::new(corners, color.filled()))
        });
        chart.draw_series(bars)?;
    }
    let mut at = LABELS as i32 + 240;
    for (outcome, color) in COLORS {
        at = key(area, at, outcome.name(), color)?;
    }
    at = key(area, at, "a crash or a cut lasts", CUT.mix(0.25).into_rgb())?;
    key(area, at, "another fault lasts", OTHER.mix(0.25).into_rgb())?;
    Ok(())
}

trait OnWhite {
    fn into_rgb(self) -> RGBColor;
}

impl OnWhite for RGBAColor {
    fn into_rgb(self) -> RGBColor {
        let RGBAColor(r, g, b, part) = self;
        let mixed = |c: u8| (f64::from(c) * part + 255.0 * (1.0 - part)) as u8;
        RGBColor(mixed(r), mixed(g), mixed(b))
    }
}

fn draw_latency(
    area: &Area<'_>,
    columns: &Columns,
    faults: &[FaultSpan],
) -> Result<(), Box<dyn Error>> {
    say(area, "milliseconds until a decision")?;
    let bottom = 1.0;
    let top = 10_000.0;
    let mut chart = ChartBuilder::on(area)
        .margin_top(24)
        .margin_right(20)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(0.0..columns.end(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(5)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    shade(chart.plotting_area(), faults, (bottom, top))?;
    let mut at = LABELS as i32 + 240;
    for (part, name, color) in
        [(0.5, "half of them", RGBColor(38, 70, 125)), (0.99, "99 %", RGBColor(214, 120, 40))]
    {
        for line in columns.quantile(part) {
            let line = line.into_iter().map(|(x, y)| (x, y.clamp(bottom, top)));
            let line: Vec<_> = line.collect();
            chart.draw_series(LineSeries::new(line.clone(), color.stroke_width(1)))?;
            // A lone column would be a line without a length.
            if let [only] = line[..] {
                chart.draw_series([Circle::new(only, 1, color.filled())])?;
            }
        }
        at = key(area, at, name, color)?;
    }
    Ok(())
}

fn draw_faults(
    area: &Area<'_>,
    columns: &Columns,
    kinds: &[(String, bool)],
    faults: &[FaultSpan],
) -> Result<(), Box<dyn Error>> {
    let rows = kinds.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(10)
        .margin_right(20)
        .y_label_area_size(LABELS)
        .x_label_area_size(AXIS)
        .build_cartesian_2d(0.0..columns.end(), 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_labels(16)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_desc("seconds")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    for (row, (name, crash_or_cut)) in kinds.iter().enumerate() {
        let top = rows - row as f64;
        let of_kind = faults.iter().filter(|fault| fault.fault == *name);
        // As wide as can be seen, also in the picture of an hour.
        let narrowest = columns.end() / 500.0;
        let bars = of_kind.map(|fault| {
            let began = seconds(fault.began);
            let healed = seconds(fault.healed).max(began + narrowest);
            let corners = [(began, top - 0.2), (healed, top - 0.8)];
            Rectangle::new(corners, color(*crash_or_cut).filled())
        });
        chart.draw_series(bars)?;
        let (_, y) = chart.backend_coord(&(0.0, top - 0.5));
        let (_, above) = area.get_base_pixel();
        let style = ("sans-serif", 13).into_font().color(&color(*crash_or_cut));
        area.draw(&Text::new(name.clone(), (12, y - above - 7), style))?;
    }
    Ok(())
}
