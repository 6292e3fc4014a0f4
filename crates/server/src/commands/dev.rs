use super::serve::{Signals, until_stopped};
use super::{Ended, Error};
use crate::app::App;
use crate::config::{Config, DatabaseUrl};
use crate::provision::provision;
use giro_embedded::{Binaries, Cluster, Options, StartError};
use giro_ledger::schema::migrate;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the private PostgreSQL keeps its data between runs [default: .giro]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Directory of the PostgreSQL programs [default: searched]
    #[arg(long, value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
    /// Loopback port of the private PostgreSQL [default: a free one]
    #[arg(long, value_name = "PORT")]
    postgres_port: Option<u16>,
}

/// Where `giro dev` keeps its data when it is told nothing else.
pub(super) const DATA_DIR: &str = ".giro";

/// Where root keeps it instead when PostgreSQL's user cannot enter the working directory.
const DATA_DIR_OF_ROOT: &str = "/var/lib/giro-dev";

/// Where the URL of the private PostgreSQL's superuser is left while it runs, in the data directory.
pub(super) const URL_FILE: &str = "database_url";

const DATABASE: &str = "giro";

pub(crate) async fn run(args: Args, mut settings: Config) -> Ended {
    if settings.database.url.is_some() {
        tracing::warn!("database.url is not used: giro dev has a PostgreSQL of its own");
    }
    let directory = args.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    // Starting and stopping a cluster blocks.
    let cluster = spawn_blocking(move || start(args)).await??;
    let urls = provision(&|user, database| cluster.url(user, database), DATABASE).await?;
    migrate(&urls.owner).await?;
    settings.database.url = Some(DatabaseUrl::from(urls.server));
    let signals = Signals::install()?;
    let app = App::start(&settings).await?;
    // For the other commands, and for psql.
    let url_file = directory.join(URL_FILE);
    leave_url(&url_file, &cluster.url("postgres", DATABASE))?;
    tracing::info!("psql \"$(cat {})\" shows the ledger", url_file.display());
    tracing::info!("ready: http://{} (Ctrl-C stops, the data stay)", app.api_address());
    let ended = until_stopped(app, signals, &settings).await;
    let _ = std::fs::remove_file(&url_file); // it leads nowhere from now on
    spawn_blocking(move || cluster.stop()).await??;
    ended
}

/// Replaces the file rather than its content: the directory may belong to PostgreSQL's user, who is
/// not to choose where root writes.
fn leave_url(file: &Path, url: &str) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().write(true).create_new(true).open(file)?.write_all(url.as_bytes()),
    }
}

fn start(args: Args) -> Result<Cluster, Error> {
    let binaries = Binaries::find(args.postgres_bin.as_deref())?;
    let mut options =
        Options::new(args.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR)), binaries);
    options.port = args.postgres_port;
    let cluster = match Cluster::start(options.clone()) {
        // PostgreSQL does not run as root, and whom it runs as cannot enter root's home.
        Err(StartError::NotTraversable { dir, .. }) if args.data_dir.is_none() => {
            tracing::warn!(
                "PostgreSQL's user cannot enter {}: its data go to {DATA_DIR_OF_ROOT}",
                dir.display()
            );
            Cluster::start(Options { data_dir: DATA_DIR_OF_ROOT.into(), ..options })?
        }
        started => started?,
    };
    tracing::info!(
        version = %cluster.version(),
        port = cluster.port(),
        data = %cluster.data_dir().display(),
        "private PostgreSQL"
    );
    Ok(cluster)
}
