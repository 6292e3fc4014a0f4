//! From the raw file to the pictures and the tables of the document.

mod batch_size;
mod latency;
pub(super) mod table_size;
mod throughput;

use super::cell::{Cell, Condition, Contender, Driver};
use super::growth::{self, Growth};
use super::raw::{Measured, Raw};
use super::report;
use super::run::FILE;
use super::spread::Spread;
use crate::plot::{Area, Failed, Line, Stroke};
use plotters::prelude::*;
use std::path::Path;

/// Where the tables are in the document.
const BEGIN: &str = "<!-- comparison begin (made by giro-compare draw) -->";
const END: &str = "<!-- comparison end -->";

/// A comparison on few accounts, for the floor.
const FEW_ACCOUNTS: &str = "few-accounts.json";

/// What is made from a raw file.
#[derive(Debug)]
pub struct Drawn {
    /// Pictures by their file names.
    pub pictures: Vec<(&'static str, String)>,
    /// The tables, as Markdown.
    pub tables: String,
}

impl Drawn {
    /// For a document, from `comparison.json` in a directory, and `few-accounts.json` and `growth.json` where they are. Refused
    /// where a file does not say on what machine, of which versions and how durable, or where PostgreSQL was not
    /// durable.
    pub fn of(dir: &Path, document: &Path) -> Result<Self, String> {
        let raw = load(&dir.join(FILE))?;
        let few = dir.join(FEW_ACCOUNTS);
        let few = few.exists().then(|| load(&few)).transpose()?;
        let picture = |name: &'static str, size, draw: &dyn Fn(&Area<'_>) -> Result<(), Failed>| {
            let drawn = svg(size, draw).map_err(|error| format!("{name}: {error}"))?;
            Ok::<_, String>((name, drawn))
        };
        let mut pictures = vec![
            picture("throughput.svg", throughput::size(&raw), &|area| {
                throughput::draw(area, &raw)
            })?,
            picture("latency.svg", latency::SIZE, &|area| latency::draw(area, &raw))?,
            picture("batch-size.svg", batch_size::SIZE, &|area| batch_size::draw(area, &raw))?,
        ];
        let place = place(dir, document);
        let mut tables = report::tables(&raw, few.as_ref(), &place);
        let grown = dir.join(growth::FILE);
        if grown.exists() {
            let growth = Growth::load(&grown)?;
            let draw = |area: &Area<'_>| table_size::draw(area, &growth);
            pictures.push(picture("table-size.svg", table_size::SIZE, &draw)?);
            tables += &report::growth(&growth, &place);
        }
        Ok(Self { pictures, tables: tables.trim_end().to_owned() + "\n" })
    }

    /// A document with these tables between its marks.
    pub fn document(&self, text: &str) -> Result<String, String> {
        let marks = text.split_once(BEGIN).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(END)?;
            Some((before, after))
        });
        let (before, after) = marks.ok_or_else(|| format!("it has no {BEGIN} … {END}"))?;
        Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.tables))
    }
}

/// Where the document finds what is in the directory.
fn place(dir: &Path, document: &Path) -> String {
    let below = document.parent().and_then(|parent| dir.strip_prefix(parent).ok()).unwrap_or(dir);
    let below = below.display().to_string();
    if below.is_empty() { below } else { below + "/" }
}

fn load(path: &Path) -> Result<Raw, String> {
    let raw = Raw::load(path)?;
    let refusal = raw.origin.refusal().map(|why| format!("{}: {why}", path.display()));
    refusal.map_or(Ok(raw), Err)
}

/// Draws what is in a directory, and writes the tables into the document: between its marks, or into a new one.
pub(super) fn draw(dir: &Path, document: &Path) -> Result<(), String> {
    let drawn = Drawn::of(dir, document)?;
    let name = document.display();
    let text = match document.exists() {
        true => std::fs::read_to_string(document).map_err(|error| format!("{name}: {error}"))?,
        false => format!("{BEGIN}\n{END}\n"),
    };
    let text = drawn.document(&text).map_err(|error| format!("{name}: {error}"))?;
    for (name, picture) in &drawn.pictures {
        let path = dir.join(name);
        std::fs::write(&path, picture).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    std::fs::write(document, text).map_err(|error| format!("{name}: {error}"))
}

/// On white, so that it can be read on a page of any colour.
fn svg(size: (u32, u32), draw: &dyn Fn(&Area<'_>) -> Result<(), Failed>) -> Result<String, Failed> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    area.fill(&WHITE)?;
    draw(&area)?;
    area.present()?;
    drop(area);
    Ok(text)
}

/// Colours that are told apart by everybody.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(196, 78, 0),
    RGBColor(0, 125, 95),
    RGBColor(180, 80, 140),
    RGBColor(150, 110, 0),
    RGBColor(60, 60, 60),
];

/// The same for contenders; Giro's are the blue ones.
fn color(contender: Contender) -> RGBColor {
    match contender {
        Contender::Giro => RGBColor(0, 90, 160),
        Contender::GiroBulk => RGBColor(60, 155, 210),
        Contender::GiroLargeBulk => RGBColor(0, 150, 150),
        Contender::GiroFunction | Contender::GiroCall => RGBColor(90, 130, 190),
        Contender::Tpcb => RGBColor(196, 78, 0),
        Contender::TpcbFunction => RGBColor(200, 140, 0),
        Contender::TpcbArrays => RGBColor(160, 110, 20),
        Contender::ForUpdate => RGBColor(180, 80, 140),
        Contender::Insert | Contender::InsertPk | Contender::Update => RGBColor(60, 60, 60),
        Contender::Copy => RGBColor(0, 125, 95),
    }
}

fn stroke(contender: Contender) -> Stroke {
    match contender {
        Contender::Giro => Stroke::Thick,
        _ if contender.driver() != Driver::Session => Stroke::Thin,
        _ => Stroke::Dashed,
    }
}

/// The condition that was measured with every number of clients: the one that came first.
fn first(raw: &Raw) -> Option<Condition> {
    raw.cells.first().map(|rounds| rounds.cell.condition)
}

/// All conditions but the first, in order.
fn others(raw: &Raw) -> Vec<Condition> {
    let mut others: Vec<Condition> = Vec::new();
    for condition in raw.cells.iter().map(|rounds| rounds.cell.condition) {
        if Some(condition) != first(raw) && !others.contains(&condition) {
            others.push(condition);
        }
    }
    others
}

/// A value of a contender for every number of clients, without those that come by themselves.
fn by_clients(
    raw: &Raw,
    contender: Contender,
    condition: Condition,
    value: impl Fn(&Measured) -> Option<f64>,
) -> Vec<(u32, Spread)> {
    let closed = |cell: &Cell| {
        cell.contender == contender && cell.condition == condition && cell.part_of_peak.is_none()
    };
    let cells = raw.cells.iter().filter(|rounds| closed(&rounds.cell));
    let mut values: Vec<_> = cells
        .filter_map(|it| Some((it.cell.clients, Spread::of(it.rounds.iter().filter_map(&value))?)))
        .collect();
    values.sort_by_key(|(clients, _)| *clients);
    values
}

/// The same as a line.
fn line(
    raw: &Raw,
    contender: Contender,
    condition: Condition,
    value: impl Fn(&Measured) -> Option<f64>,
) -> Line {
    let values = by_clients(raw, contender, condition, value);
    let point = |(clients, Spread { median, low, high }): (u32, Spread)| {
        (f64::from(clients), median, low..high)
    };
    Line {
        name: contender.title().into(),
        color: color(contender),
        stroke: stroke(contender),
        points: values.into_iter().map(point).collect(),
    }
}

fn rate(measured: &Measured) -> Option<f64> {
    Some(measured.transfers_per_second)
}

/// Those that have many clients.
const CROWDS: [Contender; 6] = [
    Contender::GiroLargeBulk,
    Contender::GiroBulk,
    Contender::Giro,
    Contender::ForUpdate,
    Contender::TpcbFunction,
    Contender::Tpcb,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_between_the_marks() {
        let drawn = Drawn { pictures: Vec::new(), tables: "new\n".into() };
        let text = drawn.document(&format!("a\n{BEGIN}\nold\n{END}\nb\n")).unwrap();
        assert_eq!(text, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert!(drawn.document("a\n").unwrap_err().contains("has no"));
    }
}
