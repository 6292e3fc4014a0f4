//! The cluster, and a fresh database for every condition: a copy of one that has all accounts and no
//! transfers.

use super::cell::Condition;
use super::giro::Giro;
use super::plan::Plan;
use super::standby::{Standby, port};
use super::watch::Watch;
use super::{fixture, pgbench};
use crate::cluster::{self, TestCluster};
use crate::{Proxy, Target};
use giro_embedded::Binaries;
use giro_server::provision;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// As in production, and the same for every run: the machine's memory does not decide.
const SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "1GB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("max_connections", "1100"),
];

const TEMPLATE: &str = "compare_template";
const DATABASE: &str = "compare";

/// The cluster and what is prepared in it.
pub(super) struct Site {
    pub(super) cluster: TestCluster,
    /// A superuser's session that nothing delays.
    pub(super) admin: Client,
    pub(super) binaries: Binaries,
    settings: Vec<(String, String)>,
}

/// A condition, as long as it lasts.
pub(super) struct Place {
    /// Of the database, by role, as the contenders reach it.
    route: Route,
    standby: Option<Standby>,
    /// A superuser's URL of the database that nothing delays.
    pub(super) direct: String,
    /// A session of it.
    pub(super) watcher: Client,
    postmaster: u32,
}

/// How contenders reach PostgreSQL.
pub(super) struct Route {
    host: String,
    port: u16,
    /// Each way.
    delay: Duration,
    proxy: Option<Proxy>,
}

impl Site {
    /// Starts the cluster; nothing is prepared yet.
    pub(super) async fn start(settings: &[(String, String)]) -> Result<Self, String> {
        let binaries = Binaries::find(None).map_err(|error| error.to_string())?;
        pgbench::program(&binaries)?;
        let own = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = [&own, settings].concat();
        let given: Vec<_> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        let cluster = tokio::task::block_in_place(|| cluster::start(&given));
        let admin = connect(&cluster.url("postgres", "postgres")).await?;
        Ok(Self { cluster, admin, binaries, settings })
    }

    /// Makes the database that all others are copies of.
    pub(super) async fn prepare(&self, plan: &Plan, giro: &Giro) -> Result<(), String> {
        let most_rows = plan.rows.iter().copied().max().unwrap_or(1);
        let url = |user: &str, name: &str| self.cluster.url(user, name);
        let made = provision(&url, TEMPLATE).await.map_err(|error| error.to_string())?;
        giro.migrate(&made.owner).await?;
        let superuser = url("postgres", TEMPLATE);
        let server = giro.serve(&made.server).await;
        let mut rows = plan.rows.clone();
        rows.sort_unstable_by(|one, other| other.cmp(one));
        for rows in rows {
            giro.make_accounts(&server, &superuser, rows, plan.accounts).await?;
        }
        giro.stop(server).await?;
        pgbench::initialize(&self.binaries, &superuser, "dt").await?;
        let client = connect(&superuser).await?;
        for sql in [fixture::SCHEMA, &fixture::fill(plan.accounts, most_rows)] {
            client.batch_execute(sql).await.map_err(|error| format!("the tables: {error}"))?;
        }
        pgbench::initialize(&self.binaries, &superuser, "p").await?;
        client.batch_execute("VACUUM (FREEZE, ANALYZE)").await.map_err(|e| e.to_string())
    }

    /// A fresh database under a condition.
    pub(super) async fn place(&self, condition: Condition) -> Result<Place, String> {
        let copy = format!(
            "CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE} OWNER giro_owner STRATEGY FILE_COPY"
        );
        self.order(&copy).await?;
        let direct = self.cluster.url("postgres", DATABASE);
        let watcher = connect(&direct).await?;
        let contended = fixture::contended(condition.rows);
        watcher.batch_execute(&contended).await.map_err(|error| format!("its rows: {error}"))?;
        let standby = match condition.standby {
            true => Some(Standby::follow(&self.cluster, &self.admin, &self.settings).await?),
            false => None,
        };
        let route = Route::new(&self.cluster, condition.delay_ms).await;
        Ok(Place { route, standby, direct, watcher, postmaster: self.cluster.pid() })
    }

    /// Removes it.
    pub(super) async fn leave(&self, place: Place) -> Result<(), String> {
        let Place { route, standby, watcher, .. } = place;
        drop((route, watcher));
        if let Some(standby) = standby {
            standby.leave(&self.admin).await?;
        }
        self.order(&format!("DROP DATABASE {DATABASE} WITH (FORCE)")).await
    }

    /// Lets a superuser do something.
    pub(super) async fn order(&self, sql: &str) -> Result<(), String> {
        self.admin.batch_execute(sql).await.map_err(|error| format!("{sql}: {error}"))
    }
}

impl Place {
    /// The database, as contenders reach it.
    pub(super) fn url(&self, user: &str) -> String {
        let Route { host, port, .. } = &self.route;
        let host = host.replace('%', "%25").replace('/', "%2F");
        format!("postgresql://{user}@{host}:{port}/{DATABASE}")
    }

    /// Host, port and database for programs of PostgreSQL.
    pub(super) fn options(&self) -> [String; 7] {
        let Route { host, port, .. } = &self.route;
        let words = ["-h", host, "-p", &port.to_string(), "-U", "postgres", DATABASE];
        words.map(str::to_owned)
    }

    /// What the sessions of this name take, and the generator of their load.
    pub(super) fn watch<'a>(&'a self, sessions: &'a str, generator: Option<u32>) -> Watch<'a> {
        Watch { client: &self.watcher, sessions, postmaster: self.postmaster, generator }
    }

    /// Whether messages take their time: sessions may be opened without.
    pub(super) fn delay(&self, on: bool) {
        if let Some(proxy) = &self.route.proxy {
            proxy.delay(if on { self.route.delay } else { Duration::ZERO });
        }
    }
}

impl Route {
    /// By the Unix socket; through the proxy where there is a delay.
    async fn new(cluster: &TestCluster, delay_ms: u32) -> Self {
        let delay = Duration::from_millis(delay_ms.into()) / 2;
        if delay_ms == 0 {
            let host = cluster.socket_dir().display().to_string();
            return Self { host, port: cluster.port(), delay, proxy: None };
        }
        let url = cluster.url("postgres", DATABASE);
        let proxy = Proxy::start(&url, Target::NETWORK).await;
        proxy.delay(delay);
        Self { host: "127.0.0.1".into(), port: port(proxy.url()), delay, proxy: Some(proxy) }
    }
}

/// A session; its driver ends with it.
pub(super) async fn connect(url: &str) -> Result<Client, String> {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.map_err(|error| format!("a session: {error}"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// The directory of what a cell writes.
pub(super) fn scratch() -> Result<(tempfile::TempDir, PathBuf), String> {
    let directory = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
    let path = directory.path().to_owned();
    Ok((directory, path))
}
