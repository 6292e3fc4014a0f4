//! Where figures are measured: a private cluster, and a server of the release build as a process.

use crate::cluster::{self, TestCluster};
use crate::{ServerProcess, TestDatabase};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What a run is given.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server to be measured.
    pub giro: PathBuf,
    /// The server that it is compared with.
    pub baseline: Option<PathBuf>,
}

/// A cluster that is slow in one known way: every commit waits for 10 ms, also a lone one, before it is
/// written as durably as always. Ten times what it can do is then little enough for a generator on the
/// same machine.
pub const SLOW_COMMITS: [(&str, &str); 2] = [("commit_delay", "10000"), ("commit_siblings", "0")];

/// Says so.
pub const SLOW_COMMITS_NOTE: &str = "PostgreSQL is slowed down by commit_delay = 10 ms with \
     commit_siblings = 0, so that a generator on the same cores can offer ten times its capacity";

/// Accounts of a stage, as [`Transfers`](super::open_loop::Transfers) uses them.
const ACCOUNTS: u64 = 1000;

/// A database with accounts, and a server of it.
pub struct Stage {
    /// The server.
    pub server: ServerProcess,
    /// Its database.
    pub database: TestDatabase,
}

impl Stage {
    /// Starts a server with these settings on a database of the cluster, and makes the accounts.
    pub async fn on(plan: &Plan, cluster: &TestCluster, settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
        Self::of(plan, database, settings).await
    }

    /// The same on a database that exists.
    pub async fn of(plan: &Plan, database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let server = serve(&plan.giro, &database.server_url, settings).await;
        for first in (1..=ACCOUNTS).step_by(100) {
            let accounts: Vec<_> = (first..first + 100).map(|id| json!({ "id": id })).collect();
            // As many at a time as any setting of the figures lets through.
            for few in accounts.chunks(4) {
                let reply = server.client.post("/accounts", &json!(few)).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
            }
        }
        Self { server, database }
    }
}

/// Starts a server and waits until it is ready.
pub async fn serve(program: &Path, url: &str, settings: &[(&str, &str)]) -> ServerProcess {
    let own = [("DATABASE_URL", url), ("GIRO__LOG__FILTER", "warn,giro_server=info")];
    let environment = [&own, settings].concat();
    ServerProcess::run_quietly(&program.display().to_string(), &["serve"], &environment).await
}

/// A cluster, without holding up what runs beside it.
pub fn cluster(settings: &[(&str, &str)]) -> TestCluster {
    tokio::task::block_in_place(|| cluster::start(settings))
}

/// The value of one metric of the batcher of transfers; 0 when it is not there.
pub async fn metric(server: &ServerProcess, name: &str) -> f64 {
    let name = format!("giro_{name}{{batcher=\"transfers\"}} ");
    let text = server.admin.get("/metrics").await.text;
    let value = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

/// Whether the database is as it must be, as `giro verify` sees it.
pub async fn audit(database: &TestDatabase) -> Value {
    json!({"clean": database.audit().await.clean})
}

/// When a session was first let in that sees `ready` as true.
pub async fn until_true(url: String, ready: &'static str) -> Instant {
    let attempt = async || {
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        while !client.query_one(ready, &[]).await.ok()?.get::<_, bool>(0) {
            sleep(Duration::from_millis(2)).await;
        }
        Some(())
    };
    let limit = Instant::now() + Duration::from_secs(60);
    while Instant::now() < limit {
        if let Ok(Some(())) = timeout(Duration::from_secs(10), attempt()).await {
            return Instant::now();
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("PostgreSQL does not let anybody in");
}
