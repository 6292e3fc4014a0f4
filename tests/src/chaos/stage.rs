//! What a storm happens to: a primary, perhaps a standby, servers as processes, and a proxy from each
//! server to each cluster.

use crate::cluster::{self, TestCluster};
use crate::standby::{Pair, Replication, both};
use crate::{Client, ServerProcess, TestDatabase, eventually};
use giro_proxy::Proxy;
use std::path::PathBuf;
use tokio::sync::watch;

/// What a stage is made of.
#[derive(Debug, Clone)]
pub struct StagePlan {
    /// The server's program.
    pub giro: PathBuf,
    /// How many servers share the database.
    pub servers: usize,
    /// A synchronous standby, if there is to be one.
    pub standby: bool,
    /// Further settings of PostgreSQL.
    pub postgres: Vec<(String, String)>,
    /// Further environment of every server.
    pub environment: Vec<(String, String)>,
}

/// Where callers send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which server, from 0.
    pub server: u16,
    /// Which process of it, from 0.
    pub generation: u32,
    /// Speaks to its API.
    pub client: Client,
    /// Speaks to its operators' listener.
    pub admin: Client,
}

/// Everything that a fault can happen to.
pub struct Stage {
    plan: StagePlan,
    /// The first primary and, if the plan has one, its standby.
    pub clusters: Vec<TestCluster>,
    /// Its URLs name every cluster, without a proxy.
    pub database: TestDatabase,
    /// By number.
    pub servers: Vec<StageServer>,
    targets: watch::Sender<Vec<Target>>,
}

/// A place for a server: its processes come and go.
pub struct StageServer {
    /// To each cluster, in the order of [`Stage::clusters`].
    pub proxies: Vec<Proxy>,
    /// Nothing while it is down.
    pub process: Option<ServerProcess>,
    /// Processes that have run here before.
    pub generation: u32,
    url: String,
}

impl Stage {
    /// Starts everything and waits until every server is ready.
    pub async fn start(plan: StagePlan) -> Self {
        let settings: Vec<(&str, &str)> =
            plan.postgres.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (clusters, database) = match plan.standby {
            true => {
                let pair = Pair::start_with(Replication::Synchronous, &settings).await;
                let database = pair.database().await;
                (vec![pair.primary, pair.standby], database)
            }
            false => {
                let cluster = tokio::task::block_in_place(|| cluster::start(&settings));
                let url = |user: &str, name: &str| cluster.url(user, name);
                let database = TestDatabase::at(&url).await;
                (vec![cluster], database)
            }
        };
        let mut stage = Self {
            plan,
            clusters,
            database,
            servers: Vec::new(),
            targets: watch::channel(Vec::new()).0,
        };
        for server in 0..stage.plan.servers {
            stage.add_server().await;
            stage.start_server(server).await;
        }
        stage
    }

    /// Where callers send to, as servers come and go. A server that is down keeps its last address.
    pub fn targets(&self) -> watch::Receiver<Vec<Target>> {
        self.targets.subscribe()
    }

    /// Starts the process of a server that is down, and waits until it is ready.
    pub async fn start_server(&mut self, number: usize) {
        let mut environment = vec![
            ("DATABASE_URL", self.servers[number].url.as_str()),
            ("GIRO__LOG__FILTER", "warn,giro_server=info"),
        ];
        let own = self.plan.environment.iter();
        environment.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        let program = self.plan.giro.display().to_string();
        let process = ServerProcess::run_quietly(&program, &["serve"], &environment).await;
        let server = &mut self.servers[number];
        let target = Target {
            server: number as u16,
            generation: server.generation,
            client: process.client,
            admin: process.admin,
        };
        server.process = Some(process);
        self.targets.send_modify(|targets| match targets.get_mut(number) {
            Some(old) => *old = target,
            None => targets.push(target),
        });
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
            proxies.push(Proxy::start(&url, giro_proxy::Target::LANES).await);
        }
        let url = match &proxies[..] {
            [only] => only.url().to_owned(),
            [first, second] => both(first.url(), second.url()),
            _ => unreachable!("one cluster or two"),
        };
        self.servers.push(StageServer { proxies, process: None, generation: 0, url });
    }
}
