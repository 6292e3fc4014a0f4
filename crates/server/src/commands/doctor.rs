use super::Ended;
use crate::app::StartError;
use crate::config::{Config, DatabaseUrl};
use giro_ledger::doctor::{Limits, Severity, Wanted, doctor};
use std::io::{Write, stdout};
use std::process::ExitCode;

/// There are warnings, and nothing critical.
const WARNINGS: u8 = 1;
/// The process ends with this when it could not look, as `giro verify` does.
pub(crate) const NOT_LOOKED: u8 = 2;
/// Something is critical.
const CRITICAL: u8 = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For people or for machines
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// The same as --format json
    #[arg(long)]
    json: bool,
    /// How many servers share the database [default: as many as are seen]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    servers: Option<u32>,
    /// Instead of database.url: a role with pg_monitor sees more than the servers' own
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) async fn run(args: Args, mut settings: Config) -> Ended {
    if let Some(url) = args.database_url {
        settings.database.url = Some(DatabaseUrl::from(url));
    }
    let url = settings.database.url.as_ref().ok_or(StartError::NoDatabase)?;
    let connector = settings.connector(url).map_err(StartError::Url)?;
    let database = &settings.database;
    let (lanes, read_sessions) = (database.lanes, database.read_sessions);
    let wanted = Wanted { lanes, read_sessions, servers: args.servers };
    let report = doctor(&connector, &wanted, &Limits::default()).await?;
    let text = match args.json || args.format == Format::Json {
        true => printable(&serde_json::to_string_pretty(&report)?) + "\n",
        false => report.to_string(),
    };
    stdout().write_all(text.as_bytes())?;
    let lost = report.lost.map(|lost| format!("the look ended early: {lost}"));
    Ok(match (report.worst, lost) {
        // What hurts now is said, whatever else there is.
        (Some(Severity::Critical), lost) => {
            lost.iter().for_each(|lost| eprintln!("giro: {lost}"));
            ExitCode::from(CRITICAL)
        }
        (_, Some(lost)) => return Err(lost.into()),
        (None | Some(Severity::Notice), None) => ExitCode::SUCCESS,
        (Some(Severity::Warning), None) => ExitCode::from(WARNINGS),
    })
}

/// JSON escapes only some of what a terminal obeys; such characters are nowhere but within its texts.
fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => text += &format!("\\u{:04x}", c as u32),
            _ => text.push(c),
        }
    }
    text
}
