//! Checks a run again, from its directory.

use super::facts::DATA;
use giro_checker::Verdict;
use giro_embedded::{Binaries, Cluster, Options};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Check a run again: `giro-chaos check --help`.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArguments {
    /// What a run has left
    directory: PathBuf,
    /// The run's database, as a superuser [default: what --keep has left in the directory]
    #[arg(long)]
    url: Option<String>,
}

/// Checks a run that is over. Its verdict is printed, and written anew.
pub async fn check(arguments: CheckArguments) -> Result<bool, String> {
    let CheckArguments { directory, url } = arguments;
    let verdict = match url {
        Some(url) => judge(&directory, &url).await?,
        None => {
            let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
            let cluster = tokio::task::block_in_place(|| start(&directory, copy.path()))?;
            judge(&directory, &cluster.url("postgres", "giro")).await?
        }
    };
    println!("{verdict}");
    let text = serde_json::to_string_pretty(&verdict).map_err(|error| error.to_string())?;
    let path = directory.join("verdict.json");
    std::fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(verdict.passes())
}

async fn judge(directory: &Path, url: &str) -> Result<Verdict, String> {
    giro_checker::check(directory, url).await.map_err(|error| error.to_string())
}

/// A copy of what was kept, so that it stays as it is.
fn start(directory: &Path, copy: &Path) -> Result<Cluster, String> {
    if !directory.is_dir() {
        return Err(format!("{}: there is no such directory", directory.display()));
    }
    let kept = directory.join(DATA);
    if !kept.exists() {
        let why = "the cluster of a run is gone at its end, but for runs with --keep";
        return Err(format!("{}: {why}; name a database with --url", directory.display()));
    }
    let data = copy.join(DATA);
    let copied = Command::new("cp").arg("-a").args([&kept, &data]).status();
    if !copied.as_ref().is_ok_and(|status| status.success()) {
        return Err(format!("{} could not be copied: {copied:?}", kept.display()));
    }
    let binaries = Binaries::find(None).map_err(|error| error.to_string())?;
    Cluster::start(Options::new(data, binaries)).map_err(|error| error.to_string())
}
