//! Measures the figures of `docs/reliability.md`: `make reliability`

use clap::Parser;
use giro_tests::figures::stage::Plan;
use giro_tests::figures::{NAMES, run};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what Giro promises for its worst day, on private PostgreSQL clusters.
#[derive(Parser)]
#[command(name = "reliability")]
struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    figures: Vec<String>,
    /// The server [default: giro beside this program]
    #[arg(long)]
    giro: Option<PathBuf>,
    /// An older server, to compare with
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// File for the raw numbers
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { figures, giro, baseline, json } = Arguments::parse();
    let beside = || std::env::current_exe().expect("this program").with_file_name("giro");
    let plan = || {
        let giro = absolute(giro.unwrap_or_else(beside))?;
        Ok(Plan { giro, baseline: baseline.map(absolute).transpose()? })
    };
    let plan = match plan() {
        Ok(plan) => plan,
        Err::<Plan, String>(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let asked = |name: &&str| figures.is_empty() || figures.iter().any(|figure| figure == name);
    let names: Vec<_> = NAMES.into_iter().filter(asked).collect();
    let report = run(&plan, &names).await;
    println!("{}", report.markdown());
    if let Some(path) = json {
        let text = format!("{:#}\n", report.json());
        if let Err(error) = std::fs::write(&path, text) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Servers run in a directory of their own.
fn absolute(program: PathBuf) -> Result<PathBuf, String> {
    program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
}
