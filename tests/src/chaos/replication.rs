//! Who is the primary, and how the standby comes to follow it. Commits wait for the standby by a setting in
//! the primary's own files: the standby has none, so that it takes writes when it is promoted, although
//! nobody follows it yet; and the old primary keeps its own, so that it acknowledges nothing when it is back.

use super::{Stage, Witness};
use crate::cluster::TestCluster;
use crate::standby::STANDBY;
use tokio::task::block_in_place;

impl Stage {
    /// The cluster that takes writes.
    pub fn primary(&self) -> &TestCluster {
        &self.clusters[self.primary]
    }

    /// Where it is in [`Stage::clusters`], and in [`StageServer::proxies`](super::StageServer::proxies).
    pub fn primary_number(&self) -> usize {
        self.primary
    }

    /// Where the other one is; nothing if there is none.
    pub fn standby_number(&self) -> Option<usize> {
        (self.clusters.len() == 2).then_some(1 - self.primary)
    }

    /// Lets commits wait for the standby; returns when none is acknowledged without it any more, and says
    /// what PostgreSQL says about it.
    pub async fn synchronize(&self) -> String {
        let mut primary = Witness::of(self.primary());
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'");
        primary.order(&set).await;
        primary.order("SELECT pg_reload_conf()").await;
        self.follows(&mut primary).await;
        // By whom commits are told to wait: it reads the setting before it begins a checkpoint.
        primary.order("CHECKPOINT").await;
        self.follows(&mut primary).await
    }

    /// Waits until the standby is synchronous and has all that the primary has.
    pub async fn follows(&self, primary: &mut Witness) -> String {
        let now =
            primary.see("the end of the log", "SELECT pg_current_wal_insert_lsn()::text").await;
        let now: String = now.get(0);
        let sql = format!(
            "SELECT format('%s is %s, %s, and has all up to %s', application_name, sync_state, state,
                           flush_lsn)
               FROM pg_stat_replication
              WHERE state = 'streaming' AND sync_state = 'sync' AND flush_lsn >= '{now}'"
        );
        primary.see("the standby follows", &sql).await.get(0)
    }

    /// Makes the standby the primary; the old one has to be down.
    pub(crate) fn promote(&mut self) {
        let standby = self.standby_number().expect("a standby");
        block_in_place(|| self.clusters[standby].promote()).unwrap_or_else(|e| panic!("{e}"));
        self.primary = standby;
    }

    /// Makes what was the primary, and is down, the synchronous standby of the new one.
    pub(crate) async fn rebuild(&mut self) -> String {
        let primary = self.primary;
        let [first, second] = &mut self.clusters[..] else { panic!("no two clusters") };
        let (primary, standby) = if primary == 0 { (first, second) } else { (second, first) };
        block_in_place(|| standby.follow(primary, STANDBY));
        self.synchronize().await
    }
}
