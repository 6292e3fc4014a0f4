//! A synchronous standby, some way off.

use super::plan::STANDBY_ROUND_TRIP_MS;
use crate::cluster::{self, TestCluster};
use crate::standby::STANDBY;
use crate::{Proxy, Target, eventually};
use std::time::Duration;
use tokio_postgres::{Client, Config};

/// It follows as long as it is there.
pub(super) struct Standby {
    cluster: TestCluster,
    _proxy: Proxy,
}

impl Standby {
    /// Copies the primary; returns when its commits wait for the copy.
    pub(super) async fn follow(
        primary: &TestCluster,
        admin: &Client,
        settings: &[(String, String)],
    ) -> Result<Self, String> {
        let proxy = Proxy::start(&primary.url("postgres", "postgres"), Target::NETWORK).await;
        let port = port(proxy.url());
        let here = format!("host=127.0.0.1 port={port} user=postgres application_name={STANDBY}");
        let mut settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // On the command line, where it overrides what pg_basebackup has written.
        settings.push(("primary_conninfo", &here));
        let cluster = tokio::task::block_in_place(|| {
            cluster::start_with(&settings, |options| options.standby_of(primary, STANDBY))
        });
        set(admin, &format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")).await?;
        let follows = "SELECT count(*) FROM pg_stat_replication
                        WHERE state = 'streaming' AND sync_state = 'sync'";
        eventually("the standby follows", async || {
            let row = admin.query_one(follows, &[]).await;
            row.is_ok_and(|row| row.get::<_, i64>(0) == 1)
        })
        .await;
        proxy.delay(Duration::from_millis(STANDBY_ROUND_TRIP_MS.into()) / 2);
        Ok(Self { cluster, _proxy: proxy })
    }

    /// Commits wait no more, and the standby ends.
    pub(super) async fn leave(self, admin: &Client) -> Result<(), String> {
        set(admin, "ALTER SYSTEM RESET synchronous_standby_names").await?;
        tokio::task::block_in_place(|| drop(self.cluster));
        Ok(())
    }
}

async fn set(admin: &Client, sql: &str) -> Result<(), String> {
    let failed = |error| format!("{sql}: {error}");
    admin.batch_execute(sql).await.map_err(failed)?;
    admin.batch_execute("SELECT pg_reload_conf()").await.map_err(failed)
}

/// Of a proxy's URL.
pub(super) fn port(url: &str) -> u16 {
    let config: Config = url.parse().expect("a proxy's URL");
    config.get_ports()[0]
}
