//! One PostgreSQL for all tests of a run, or one for a single test.

use crate::nemesis::small_disk::give_to_owner_of;
use crate::nemesis::{FakeClock, SmallDisk};
use giro_embedded::{Binaries, Cluster, Options};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Set by `with-postgres`: the URL of the shared cluster, with names to be replaced.
pub const URL_VARIABLE: &str = "GIRO_TEST_CLUSTER";
/// Stands for the role in that URL.
pub const USER: &str = "ROLE-NAME";
/// Stands for the database in that URL.
pub const DATABASE: &str = "DATABASE-NAME";

/// Parts of the system around a cluster that a fault can happen to. All but these are the machine's.
#[derive(Default)]
pub struct Around {
    /// Of the write-ahead log.
    pub wal_disk: Option<SmallDisk>,
    /// Of the databases that [`TestCluster::move_to`] has moved.
    pub data_disk: Option<SmallDisk>,
    /// Of all processes of the cluster.
    pub clock: Option<FakeClock>,
}

/// A cluster in a directory of its own that is deleted with it. It keeps its port through restarts.
pub struct TestCluster {
    /// Nothing while it is down.
    cluster: Option<Cluster>,
    options: Options,
    around: Around,
    _directory: TempDir,
}

impl std::ops::Deref for TestCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster.as_ref().expect("the cluster runs")
    }
}

impl TestCluster {
    /// Kills all its processes at once, as a crash would.
    pub fn kill(&mut self) {
        let mut cluster = self.cluster.take().expect("the cluster runs");
        cluster.kill().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts it again on its data and its port after [`kill`](Self::kill). Its disks have room then, as
    /// it could not recover without.
    pub fn start_again(&mut self) {
        for disk in [&self.around.wal_disk, &self.around.data_disk].into_iter().flatten() {
            disk.free();
        }
        let cluster = Cluster::start(self.options.clone());
        self.cluster = Some(cluster.unwrap_or_else(|error| panic!("{error}")));
    }

    /// Whether nobody has killed it, and it has ended by itself all the same.
    pub fn has_exited(&mut self) -> bool {
        self.cluster.as_mut().is_some_and(Cluster::has_exited)
    }

    /// What is its own of the system around it.
    pub fn around(&self) -> &Around {
        &self.around
    }

    /// Moves a database that nobody uses to a disk of its own.
    pub async fn move_to(&mut self, disk: SmallDisk, database: &str) {
        give_to_owner_of(&self.data_dir().join("pg"), disk.path());
        let admin = crate::database::connect(&self.url("postgres", "postgres")).await;
        let path = disk.path().display();
        for sql in [
            format!("CREATE TABLESPACE small LOCATION '{path}'"),
            format!("ALTER DATABASE {database} SET TABLESPACE small"),
        ] {
            admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        self.around.data_disk = Some(disk);
    }

    /// Whether it is not down.
    pub fn is_up(&self) -> bool {
        self.cluster.is_some()
    }

    /// Starts it as a standby of another, with a copy of its data. What it had is gone; its port and its
    /// settings stay.
    pub fn follow(&mut self, primary: &Cluster, name: &str) {
        assert!(!self.is_up(), "its data is in use");
        let old = self.options.data_dir.join("pg");
        std::fs::remove_dir_all(&old).expect("the old data is removed");
        self.options = self.options.clone().standby_of(primary, name);
        self.start_again();
    }

    /// The file that it logs to, also while it is down.
    pub fn log_file(&self) -> PathBuf {
        self.options.data_dir.join("postgres.log")
    }

    /// The first deadlock that it has logged.
    pub fn deadlock(&self) -> Option<String> {
        first_line(&self.log_file(), &[DEADLOCK])
    }
}

/// Starts a fresh cluster, as durable as any: fsync is on.
pub fn start(settings: &[(&str, &str)]) -> TestCluster {
    start_with(settings, |options| options)
}

/// Starts a fresh cluster with parts of the system around it as its own.
pub fn start_in(around: Around, settings: &[(&str, &str)]) -> TestCluster {
    let mut cluster = start_with(settings, |mut options| {
        options.wal_dir = around.wal_disk.as_ref().map(|disk| disk.path().to_owned());
        options.environment = around.clock.as_ref().map(FakeClock::environment).unwrap_or_default();
        options
    });
    cluster.around = around;
    cluster
}

/// Starts a fresh cluster with options of the test's own.
pub(crate) fn start_with(
    settings: &[(&str, &str)],
    change: impl FnOnce(Options) -> Options,
) -> TestCluster {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let binaries = Binaries::find(None).unwrap_or_else(|error| panic!("{error}"));
    let mut options = change(Options::new(directory.path(), binaries));
    let own = [("shared_buffers", "128MB"), ("max_connections", "200"), ("log_lock_waits", "on")];
    for (name, value) in own.iter().chain(settings) {
        options.settings.push((name.to_string(), value.to_string()));
    }
    let cluster = Cluster::start(options.clone()).unwrap_or_else(|error| panic!("{error}"));
    options.port = Some(cluster.port());
    TestCluster {
        cluster: Some(cluster),
        options,
        around: Around::default(),
        _directory: directory,
    }
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
    first_line(cluster.log_path(), &[DEADLOCK, "PANIC:"])
}

const DEADLOCK: &str = "deadlock detected";

/// The first line of PostgreSQL's log that contains one of these.
fn first_line(log: &Path, texts: &[&str]) -> Option<String> {
    let log = std::fs::read(log).expect("the log of PostgreSQL");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("ready to accept"), "this is not the log: {log}");
    let is_sought = |line: &&str| texts.iter().any(|text| line.contains(text));
    log.lines().find(is_sought).map(str::to_owned)
}
