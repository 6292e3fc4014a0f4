use super::Ended;
use crate::app::StartError;
use crate::config::Config;
use giro_ledger::Connector;
use giro_ledger::verify::{Progress, verify};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The process ends with this when the ledger could not be looked at: neither sound nor not.
pub(crate) const NOT_LOOKED: u8 = 2;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Findings to show of each check; all are counted
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    findings: usize,
}

pub(crate) async fn run(args: Args, settings: Config) -> Ended {
    let url = settings.database.url.as_ref().ok_or(StartError::NoDatabase)?;
    let database = &settings.database;
    // The queries take as long as the ledger is large.
    let no_timeout = Duration::ZERO;
    let (connect, lock) = (database.connect_timeout.0, database.lock_timeout.0);
    let connector = Connector::new(url.reveal(), connect, no_timeout, lock)?;
    let mut shown = Shown::new();
    let report = verify(&connector, args.findings, &mut |progress| shown.update(progress)).await?;
    shown.bar.finish_and_clear();
    let report_text = match args.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => report.to_string(),
    };
    stdout().write_all(report_text.as_bytes())?;
    Ok(if report.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How far it is, on standard error: a bar on a terminal, now and then a line elsewhere.
struct Shown {
    pass: &'static str,
    bar: ProgressBar,
    terminal: bool,
    last_line: Instant,
}

/// Between two lines of the same pass.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Shown {
    fn new() -> Self {
        let (bar, terminal) = (ProgressBar::hidden(), stderr().is_terminal());
        Self { pass: "", bar, terminal, last_line: Instant::now() }
    }

    fn update(&mut self, progress: Progress) {
        let Progress { pass, rows, of } = progress;
        if self.pass != pass {
            self.pass = pass;
            self.bar.finish_and_clear();
            if self.terminal {
                self.bar = bar(pass, of);
            } else {
                self.line(&format!("{pass}: sorting and reading"));
            }
        } else if !self.terminal && self.last_line.elapsed() >= LINE_EVERY {
            let of = of.map(|of| format!(" of about {of}")).unwrap_or_default();
            self.line(&format!("{pass}: {rows}{of} rows"));
        }
        self.bar.set_position(rows);
    }

    fn line(&mut self, text: &str) {
        eprintln!("giro verify: {text}");
        self.last_line = Instant::now();
    }
}

fn bar(pass: &'static str, of: Option<u64>) -> ProgressBar {
    let (bar, template) = match of {
        Some(of) => {
            (ProgressBar::new(of), "{prefix:9} [{bar:30}] {pos} of about {len} rows, {elapsed}")
        }
        None => (ProgressBar::no_length(), "{prefix:9} {spinner} {pos} rows, {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    let bar = bar.with_style(style).with_prefix(pass);
    // It also moves while PostgreSQL sorts and no row comes.
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
