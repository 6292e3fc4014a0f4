//! A primary and a standby that follows it.

use crate::cluster::{self, TestCluster};
use crate::{TestDatabase, eventually};

/// What the standby calls itself.
pub(crate) const STANDBY: &str = "standby";

/// When the primary acknowledges a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// When it is on its own disk.
    Asynchronous,
    /// When it is on the standby's disk as well.
    Synchronous,
}

/// Two clusters of which one follows the other, with names for what they were at first.
pub struct Pair {
    /// The first primary.
    pub primary: TestCluster,
    /// Its standby.
    pub standby: TestCluster,
}

impl Pair {
    /// Starts both and waits until the standby streams.
    pub async fn start(replication: Replication) -> Self {
        Self::start_with(replication, &[]).await
    }

    /// The same with further settings for both.
    pub async fn start_with(replication: Replication, settings: &[(&str, &str)]) -> Self {
        let own: &[_] = match replication {
            Replication::Asynchronous => &[],
            Replication::Synchronous => &[("synchronous_standby_names", STANDBY)],
        };
        let primary = cluster::start(&[own, settings].concat());
        let standby =
            cluster::start_with(settings, |options| options.standby_of(&primary, STANDBY));
        let pair = Self { primary, standby };
        pair.streaming().await;
        pair
    }

    /// Waits until the standby follows the primary: as its synchronous standby, if it is to be one.
    pub async fn streaming(&self) {
        let admin = crate::database::connect(&self.primary.url("postgres", "postgres")).await;
        let follows = "SELECT count(*) FROM pg_stat_replication
                        WHERE state = 'streaming'
                          AND (sync_state = 'sync'
                               OR current_setting('synchronous_standby_names') = '')";
        eventually("the standby follows", async || {
            admin.query_one(follows, &[]).await.expect(follows).get::<_, i64>(0) == 1
        })
        .await;
    }

    /// A URL with both hosts, the first primary first, by their Unix sockets.
    pub fn url(&self, user: &str, database: &str) -> String {
        both(&self.primary.url(user, database), &self.standby.url(user, database))
    }

    /// A migrated database; its URLs have both hosts, and a superuser's session is on the one that
    /// takes writes.
    pub async fn database(&self) -> TestDatabase {
        let made = |user: &str, database: &str| {
            let attributes =
                if user == "postgres" { "?target_session_attrs=read-write" } else { "" };
            format!("{}{attributes}", self.url(user, database))
        };
        TestDatabase::at(&made).await
    }
}

/// One URL of two that differ in their host and port.
pub fn both(first: &str, second: &str) -> String {
    let (scheme_and_user, first) = first.split_once('@').expect("a user in the URL");
    let (_, second) = second.split_once('@').expect("a user in the URL");
    let (first, database) = first.split_once('/').expect("a database in the URL");
    let (second, _) = second.split_once('/').expect("a database in the URL");
    format!("{scheme_and_user}@{first},{second}/{database}")
}
