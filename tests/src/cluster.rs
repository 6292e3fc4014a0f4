//! One PostgreSQL for all tests of a run, or one for a single test.

use giro_embedded::{Binaries, Cluster, Options};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Set by `with-postgres`: the URL of the shared cluster, with names to be replaced.
pub const URL_VARIABLE: &str = "GIRO_TEST_CLUSTER";
/// Stands for the role in that URL.
pub const USER: &str = "ROLE-NAME";
/// Stands for the database in that URL.
pub const DATABASE: &str = "DATABASE-NAME";

/// A cluster in a directory of its own that is deleted with it.
pub struct TestCluster {
    cluster: Cluster,
    _directory: TempDir,
}

impl std::ops::Deref for TestCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// Starts a fresh cluster, as durable as any: fsync is on.
pub fn start(settings: &[(&str, &str)]) -> TestCluster {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let binaries = Binaries::find(None).unwrap_or_else(|error| panic!("{error}"));
    let mut options = Options::new(directory.path(), binaries);
    let own = [("shared_buffers", "128MB"), ("max_connections", "200"), ("log_lock_waits", "on")];
    for (name, value) in own.iter().chain(settings) {
        options.settings.push((name.to_string(), value.to_string()));
    }
    let cluster = Cluster::start(options).unwrap_or_else(|error| panic!("{error}"));
    TestCluster { cluster, _directory: directory }
}

/// The URL of a role and a database in the cluster that the tests share: that of `with-postgres`, or
/// one of this process when there is none.
pub fn shared_url(user: &str, database: &str) -> String {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        std::env::var(URL_VARIABLE).unwrap_or_else(|_| {
            // Never dropped: the cluster ends with this process.
            let cluster = Box::leak(Box::new(start(&[])));
            cluster.url(USER, DATABASE)
        })
    });
    template.replace(USER, user).replace(DATABASE, database)
}

/// A line of the server's log that no test may cause.
pub fn alarming_line(cluster: &Cluster) -> Option<String> {
    let log = std::fs::read(cluster.log_path()).expect("the log of PostgreSQL");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("ready to accept connections"), "this is not the log: {log}");
    let alarming = |line: &&str| line.contains("deadlock detected") || line.contains("PANIC:");
    log.lines().find(alarming).map(str::to_owned)
}
