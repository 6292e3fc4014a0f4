//! The tables of docs/performance.md, from the raw file.

mod costs;
mod floor;
mod growth;

pub(super) use growth::growth;

use super::cell::{Cell, Condition, Contender, Driver, thousands};
use super::figures::{Figure, figures, worded};
use super::origin::{DURABILITY, Origin};
use super::raw::{Failed, Measured, Raw, Rounds};
use super::spread::{Spread, short, whole};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::fmt::Write;

/// All of them. `few` has measured the floor with few accounts; `place` is where the document finds the pictures.
pub(super) fn tables(raw: &Raw, few: Option<&Raw>, place: &str) -> String {
    let mut text = environment(raw);
    text += &wishes(raw);
    let mut conditions: Vec<Condition> = Vec::new();
    for condition in raw.cells.iter().map(|rounds| rounds.cell.condition) {
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    for (what, file) in PICTURES {
        text += &picture(what, place, file);
    }
    for condition in &conditions {
        text += &throughput(raw, *condition);
    }
    if let Some(&first) = conditions.first() {
        text += &costs::of_giro(raw, first);
        text += &costs::of_everybody(raw, first);
    }
    let ledgers: Vec<_> = few.into_iter().chain([raw]).collect();
    text += &floor::floor(&ledgers);
    text += &by_themselves(raw);
    text + &failures(&raw.failures)
}

const PICTURES: [(&str, &str); 3] = [
    ("Transfers a second against clients", "throughput.svg"),
    ("Latency against throughput", "latency.svg"),
    ("Transfers a commit against clients", "batch-size.svg"),
];

fn picture(what: &str, place: &str, file: &str) -> String {
    format!("![{what}]({place}{file})\n\n")
}

fn environment(raw: &Raw) -> String {
    let plan = |name: &str| known(&raw.origin.plan, name);
    let loads = raw.cells.iter().flat_map(|cell| &cell.rounds).map(|it| it.load_average);
    let loads = Spread::of(loads.filter(|load| load.is_finite()));
    let load = loads.map_or(String::new(), |it| {
        format!(" Load average of the machine before a cell: {}.", it.text(short, ""))
    });
    format!(
        "{} {} accounts; {} s measured after {} s of warm-up, rounds: {}; a figure is the median of the rounds, with the \
         lowest and the highest.{load}\n\n",
        origin(&raw.origin),
        plan("accounts").parse().map_or(plan("accounts"), thousands),
        plan("seconds"),
        plan("warmup"),
        plan("rounds"),
    )
}

fn known(map: &BTreeMap<String, String>, name: &str) -> String {
    map.get(name).cloned().unwrap_or_else(|| "unknown".into())
}

/// When, of what, where and how durable.
fn origin(origin: &Origin) -> String {
    let Origin { machine, stalls, versions, settings, .. } = origin;
    let setting = |name: &str| format!("{name}={}", known(settings, name));
    let durability = DURABILITY.map(setting).join(" ");
    let others = ["wal_compression", "shared_buffers", "max_wal_size", "autovacuum"];
    let others = others.map(setting).join(" ");
    let stalls = match &**stalls {
        "" => String::new(),
        stalls => format!(" Before the run {stalls}."),
    };
    format!(
        "{}, Giro {} at {}, PostgreSQL {}, {}; {}, {} cores, {}, Linux {}, data on {}. `{durability}`, \
         `{others}`.{stalls}",
        origin.date(),
        known(versions, "giro").trim_start_matches("giro "),
        known(versions, "commit"),
        known(versions, "postgresql"),
        known(versions, "pgbench").split(" (Debian").next().unwrap_or_default(),
        known(machine, "cpu_model"),
        known(machine, "cores"),
        known(machine, "memory"),
        known(machine, "kernel"),
        known(machine, "file_system"),
    )
}

fn wishes(raw: &Raw) -> String {
    let mut text =
        "| figure | wanted | measured | | from |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for figure in figures(raw) {
        let Figure { what, wanted, measured, from, verdict } = figure;
        let verdict = worded(verdict);
        let _ = writeln!(text, "| {what} | {wanted} | {measured} | {verdict} | {from} |");
    }
    text + "\n"
}

/// Transfers a second of everybody under a condition.
fn throughput(raw: &Raw, condition: Condition) -> String {
    let under = |it: &&Rounds| it.cell.condition == condition && it.cell.part_of_peak.is_none();
    let cells: Vec<_> = raw.cells.iter().filter(under).collect();
    let all = Contender::value_variants().iter().copied();
    let has = |who: &Contender| cells.iter().any(|it| it.cell.contender == *who);
    let contenders: Vec<_> = all.filter(has).collect();
    let (sessions, crowds): (Vec<_>, Vec<_>) =
        contenders.into_iter().partition(|who| who.driver() == Driver::Session);
    let mut clients: Vec<_> = cells
        .iter()
        .filter(|it| crowds.contains(&it.cell.contender))
        .map(|it| it.cell.clients)
        .collect();
    clients.sort_unstable();
    clients.dedup();
    let value = |who: Contender, clients: u32| {
        let cell = Cell { contender: who, clients, condition, part_of_peak: None };
        let rates = raw.rounds(&cell).iter().map(|it| it.transfers_per_second);
        Spread::of(rates).map_or("–".to_owned(), |spread| spread.text(whole, ""))
    };
    let mut text = format!("Transfers a second, {}:\n\n", condition.title());
    if !crowds.is_empty() {
        let names: Vec<_> = crowds.iter().map(|who| who.title()).collect();
        let _ = writeln!(text, "| clients | {} |", names.join(" | "));
        let _ = writeln!(text, "| ---{} |", " | ---".repeat(crowds.len()));
        for count in clients {
            let values: Vec<_> = crowds.iter().map(|who| value(*who, count)).collect();
            let count = thousands(count.into());
            let _ = writeln!(text, "| {count} | {} |", values.join(" | "));
        }
        text += "\n";
    }
    if !sessions.is_empty() {
        let values = sessions.iter().map(|who| format!("{} {}", who.title(), value(*who, 1)));
        let _ = writeln!(text, "One session: {}.\n", values.collect::<Vec<_>>().join("; "));
    }
    let driven = cells.iter().filter(|it| it.cell.contender.driver() != Driver::Session);
    if condition.delay_ms > 0 || condition.standby {
        let cores = driven.clone().flat_map(|it| &it.rounds).filter_map(|it| it.tool_cores);
        let cores = cores.fold(0.0, f64::max);
        let _ = writeln!(text, "The proxy took {} of a core at most.\n", short(cores));
    }
    let refused = driven.filter_map(|Rounds { cell, rounds }| {
        let refused: u64 = rounds.iter().map(|it| it.refused).sum();
        let (who, clients) = (cell.contender.title(), thousands(cell.clients.into()));
        (refused > 0).then(|| format!("{} of {who} with {clients} clients", thousands(refused)))
    });
    let refused: Vec<_> = refused.collect();
    if !refused.is_empty() {
        let _ = writeln!(text, "Refused or failed, and not counted: {}.\n", refused.join("; "));
    }
    text
}

/// Where requests come whether or not those before are answered.
fn by_themselves(raw: &Raw) -> String {
    let mut cells: Vec<_> = raw.cells.iter().filter(|it| it.cell.part_of_peak.is_some()).collect();
    cells.sort_by(|one, other| one.cell.partial_cmp(&other.cell).expect("numbers"));
    if cells.is_empty() {
        return String::new();
    }
    let mut text =
        "Requests that come by themselves (Poisson), at parts of the highest throughput of the \
                    round; a time begins when a request was to be sent:\n\n\
                    | | clients | part | offered | transfers/s | refused | p50 | p99 | p99.9 |\n\
                    | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for Rounds { cell, rounds } in cells {
        let value = |value: &dyn Fn(&Measured) -> Option<f64>| {
            Spread::of(rounds.iter().filter_map(value)).map(|it| it.median)
        };
        let number = |it: Option<f64>| it.map_or("–".to_owned(), whole);
        let time = |it: Option<f64>| it.map_or("–".to_owned(), |it| format!("{} ms", short(it)));
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} % | {} | {} | {} | {} | {} | {} |",
            cell.contender.title(),
            cell.clients,
            cell.part_of_peak.unwrap_or(0.0) * 100.0,
            number(value(&|it| it.offered_per_second)),
            number(value(&|it| Some(it.transfers_per_second))),
            number(value(&|it| Some(it.refused as f64))),
            time(value(&|it| Some(it.latency_ms.as_ref()?.p50))),
            time(value(&|it| Some(it.latency_ms.as_ref()?.p99))),
            time(value(&|it| Some(it.latency_ms.as_ref()?.p99_9))),
        );
    }
    text + "\n"
}

fn failures(failures: &[Failed]) -> String {
    let lines = failures.iter().map(|Failed { cell, round, error }| {
        format!("- {cell}, round {round}: {}\n", error.lines().next().unwrap_or_default())
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("Not measured:\n\n{lines}\n") }
}
