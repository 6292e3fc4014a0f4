//! What a storm happens to: a primary, perhaps a standby, servers as processes, and a proxy from each
//! server to each cluster.

use super::{RunPlan, StageServer, Target};
use crate::cluster::{self, Around, TestCluster};
use crate::mutants::Mutant;
use crate::nemesis::{FakeClock, SmallDisk};
use crate::standby::{Pair, Replication, both};
use crate::{TestDatabase, eventually};
use giro_proxy::Proxy;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// All sessions of a server, and the calls that apply transfers.
const SESSIONS: giro_proxy::Target =
    giro_proxy::Target { sessions: "giro", ..giro_proxy::Target::LANES };

/// Beside the plan's own. Few connections, so that all can be taken; and after a crash, all files are synced
/// by one call and not one by one.
const SETTINGS: [(&str, &str); 2] =
    [("max_connections", "60"), ("recovery_init_sync_method", "syncfs")];

/// With a standby, which finds its primary soon when it is back, and all that it has missed.
const REPLICATION: [(&str, &str); 2] =
    [("wal_retrieve_retry_interval", "200ms"), ("wal_keep_size", "256MB")];

/// On a disk of its own, where the log is kept small.
const SMALL_WAL: [(&str, &str); 2] = [("max_wal_size", "256MB"), ("min_wal_size", "32MB")];
/// What these disks hold, in bytes; no fault needs them to be smaller.
const WAL: u64 = 2 << 30;
const DATA: u64 = 8 << 30;

/// What a stage is made of.
#[derive(Debug, Clone)]
pub struct StagePlan {
    /// The server's program.
    pub giro: PathBuf,
    /// How many servers share the database.
    pub servers: usize,
    /// A synchronous standby, if there is to be one.
    pub standby: bool,
    /// Disks of its own for PostgreSQL's data and write-ahead log, which can be full; not with a standby.
    pub small_disks: bool,
    /// Clocks of their own for PostgreSQL, if it has no standby, and for each server, which can jump.
    pub clocks: bool,
    /// Further settings of PostgreSQL.
    pub postgres: Vec<(String, String)>,
    /// Further environment of every server.
    pub environment: Vec<(String, String)>,
    /// What is broken on purpose: the servers, or the database before they start.
    pub mutant: Option<&'static Mutant>,
}

impl RunPlan {
    /// The same run of something that is broken on purpose.
    pub fn with(mut self, mutant: &'static Mutant) -> Self {
        self.stage.mutant = Some(mutant);
        self
    }
}

impl StagePlan {
    fn around(&self) -> Around {
        Around {
            wal_disk: self.small_disks.then(|| disk(WAL)),
            data_disk: None, // nobody knows its owner yet
            clock: self.clocks.then(FakeClock::new),
        }
    }
}

fn disk(bytes: u64) -> SmallDisk {
    SmallDisk::new(bytes).unwrap_or_else(|error| panic!("a tmpfs: {error}"))
}

/// Everything that a fault can happen to.
pub struct Stage {
    pub(super) plan: StagePlan,
    /// The first primary and, if the plan has one, its standby.
    pub clusters: Vec<TestCluster>,
    /// Its URLs name every cluster, without a proxy.
    pub database: TestDatabase,
    /// By number.
    pub servers: Vec<StageServer>,
    /// Which cluster takes writes.
    pub(super) primary: usize,
    pub(super) targets: watch::Sender<Vec<Target>>,
}

impl Stage {
    /// Starts everything and waits until every server is ready.
    pub async fn start(mut plan: StagePlan) -> Self {
        let broken = plan.mutant.and_then(Mutant::environment);
        plan.environment.extend(broken.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let own = plan.postgres.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut settings = SETTINGS.to_vec();
        settings.extend(plan.standby.then_some(REPLICATION).into_iter().flatten());
        settings.extend(plan.small_disks.then_some(SMALL_WAL).into_iter().flatten());
        settings.extend(own);
        let (clusters, database) = match plan.standby {
            true => {
                let pair = Pair::start_with(Replication::Asynchronous, &settings).await;
                let database = pair.database().await;
                (vec![pair.primary, pair.standby], database)
            }
            false => {
                let around = plan.around();
                let mut cluster =
                    tokio::task::block_in_place(|| cluster::start_in(around, &settings));
                let url = |user: &str, name: &str| cluster.url(user, name);
                let database = TestDatabase::at(&url).await;
                if plan.small_disks {
                    cluster.move_to(disk(DATA), "giro").await;
                }
                (vec![cluster], database)
            }
        };
        let mut stage = Self {
            plan,
            clusters,
            database,
            servers: Vec::new(),
            primary: 0,
            targets: watch::channel(Vec::new()).0,
        };
        if stage.plan.standby {
            stage.synchronize().await;
        }
        if let Some(mutant) = stage.plan.mutant {
            mutant.enter(&stage.database).await;
        }
        for server in 0..stage.plan.servers {
            stage.add_server().await;
            stage.start_server(server).await;
        }
        stage.until_ready().await;
        stage
    }

    /// Where callers send to, as servers come and go. A server that is down keeps its last address.
    pub fn targets(&self) -> watch::Receiver<Vec<Target>> {
        self.targets.subscribe()
    }

    /// Waits until every server that runs is ready.
    pub async fn until_ready(&self) {
        for server in self.servers.iter().filter_map(|server| server.process.as_ref()) {
            eventually("the server is ready", async || {
                let ready = server.admin.send(hyper::Method::GET, "/readyz", &[], "").await;
                ready.is_ok_and(|reply| reply.status == 200)
            })
            .await;
        }
    }

    async fn add_server(&mut self) {
        let mut proxies = Vec::new();
        for cluster in &self.clusters {
            let url = cluster.url("giro_app", "giro");
            proxies.push(Arc::new(Proxy::start(&url, SESSIONS).await));
        }
        let url = match &proxies[..] {
            [only] => only.url().to_owned(),
            [first, second] => both(first.url(), second.url()),
            _ => unreachable!("one cluster or two"),
        };
        self.servers.push(StageServer::new(proxies, url, self.plan.clocks.then(FakeClock::new)));
    }
}
