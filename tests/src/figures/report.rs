//! What is printed.

use crate::database::connect;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What one figure has shown.
#[derive(Debug, Default)]
pub struct Figure {
    /// What was promised and what came of it.
    pub rows: Vec<Row>,
    /// How it was measured, a sentence each.
    pub notes: Vec<String>,
    /// Everything that was measured.
    pub raw: Value,
}

/// One promise.
#[derive(Debug)]
pub struct Row {
    what: String,
    target: String,
    measured: String,
    /// Nothing where nothing was promised.
    met: Option<bool>,
}

impl Figure {
    /// A figure that must not be above its target.
    pub fn at_most(&mut self, what: &str, measured: f64, target: f64, unit: &str) {
        self.row(
            what,
            format!("≤ {}{unit}", short(target)),
            short(measured) + unit,
            measured <= target,
        );
    }

    /// A figure that must not be below its target.
    pub fn at_least(&mut self, what: &str, measured: f64, target: f64, unit: &str) {
        self.row(
            what,
            format!("≥ {}{unit}", short(target)),
            short(measured) + unit,
            measured >= target,
        );
    }

    /// A time that must not be above its target, or never came.
    pub fn within(&mut self, what: &str, measured: Option<Duration>, target: Duration) {
        let target_text = format!("≤ {}", time(target));
        let text = measured.map_or("never".to_owned(), time);
        self.row(what, target_text, text, measured.is_some_and(|measured| measured <= target));
    }

    /// Anything else.
    pub fn row(&mut self, what: &str, target: String, measured: String, met: bool) {
        self.rows.push(Row { what: what.to_owned(), target, measured, met: Some(met) });
    }

    /// Something that is worth knowing and was not promised.
    pub fn fact(&mut self, what: &str, measured: String) {
        self.rows.push(Row { what: what.to_owned(), target: String::new(), measured, met: None });
    }

    /// A sentence about how it was measured.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        long if long >= 1.0 => format!("{} s", short(long)),
        brief => format!("{} ms", short(brief * 1e3)),
    }
}

/// All figures of a run.
pub struct Report {
    environment: Value,
    figures: Vec<(&'static str, Result<Figure, String>)>,
    /// Processes that ran or wanted to, at the begin and after each figure.
    loads: Vec<f64>,
}

impl Report {
    /// Nothing yet; says where it runs, as seen from a PostgreSQL made like those of the figures.
    pub async fn begin() -> Self {
        let loads = vec![load_average()];
        Self { environment: environment().await, figures: Vec::new(), loads }
    }

    /// Adds a figure, or why there is none.
    pub fn add(&mut self, name: &'static str, figure: Result<Figure, String>) {
        self.figures.push((name, figure));
        self.loads.push(load_average());
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let figures: serde_json::Map<_, _> = self
            .figures
            .iter()
            .map(|(name, figure)| {
                let value = match figure {
                    Ok(Figure { rows, notes, raw }) => {
                        let rows: Vec<_> = rows.iter().map(Row::json).collect();
                        json!({"figures": rows, "notes": notes, "raw": raw})
                    }
                    Err(error) => json!({"not_measured": error}),
                };
                (name.to_string(), value)
            })
            .collect();
        json!({"environment": self.environment, "load_averages": self.loads, "figures": figures})
    }

    /// For people, as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let environment = self.environment.as_object().into_iter().flatten();
        let facts = environment.map(|(name, value)| match value {
            Value::String(value) => format!("{name} {value}"),
            value => format!("{name} {value}"),
        });
        let _ = writeln!(text, "{}.", facts.collect::<Vec<_>>().join(", "));
        let [before, .., after] = &self.loads[..] else { return text };
        let _ = writeln!(
            text,
            "Load average of the machine over a minute: {before} before, {after} after: what is above the \
             load of the figures themselves is work of others, and in the figures.\n"
        );
        text.push_str("| | figure | target | measured | |\n| --- | --- | --- | --- | --- |\n");
        for (name, figure) in &self.figures {
            match figure {
                Ok(figure) => {
                    for Row { what, target, measured, met } in &figure.rows {
                        let met = match met {
                            Some(true) => "met",
                            Some(false) => "**MISSED**",
                            None => "",
                        };
                        let _ =
                            writeln!(text, "| {name} | {what} | {target} | {measured} | {met} |");
                    }
                }
                Err(error) => {
                    let line = error.lines().next().unwrap_or_default();
                    let _ = writeln!(text, "| {name} | not measured: {line} | | | **MISSED** |");
                }
            }
        }
        for (name, figure) in &self.figures {
            for note in figure.iter().flat_map(|figure| &figure.notes) {
                let _ = write!(text, "\n- {name}: {note}");
            }
        }
        text.push('\n');
        text
    }
}

impl Row {
    fn json(&self) -> Value {
        let Self { what, target, measured, met } = self;
        json!({"what": what, "target": target, "measured": measured, "met": met})
    }
}

/// Over the last minute; 0 where it is not known.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// The machine and the settings on which an acknowledgement depends.
async fn environment() -> Value {
    let cluster = tokio::task::block_in_place(|| crate::cluster::start(&[]));
    let session = connect(&cluster.url("postgres", "postgres")).await;
    let facts = "SELECT to_char(now(), 'YYYY-MM-DD'), current_setting('server_version'),
                        current_setting('fsync'), current_setting('synchronous_commit'),
                        current_setting('full_page_writes')";
    let row = session.query_one(facts, &[]).await.expect(facts);
    let text = |column: usize| row.get::<_, String>(column);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let memory = kib.map_or("unknown".to_owned(), |kib: f64| format!("{:.1} GiB", kib / 1048576.0));
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    json!({
        "date": text(0), "cores": cores, "memory": memory, "kernel": kernel, "PostgreSQL": text(1),
        "fsync": text(2), "synchronous_commit": text(3), "full_page_writes": text(4),
    })
}
