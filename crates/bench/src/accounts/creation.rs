//! The creation of a run's accounts.
//!
//! To know on a second run that all accounts of a role exist, a marker account is created after
//! all others of that role have been acknowledged. Its id is computed from their number. The
//! marker is never used in a transfer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use hyper::{Method, StatusCode};
use indicatif::ProgressBar;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Accounts, unexpected};
use crate::BenchError;
use crate::client::Client;
use crate::ids::Role;
use crate::outcome::{self, Outcome};
use crate::progress;

const CREATING_CONNECTIONS: usize = 4;

impl Accounts {
    /// Creates the accounts that do not exist yet.
    pub(crate) async fn prepare(&self) -> Result<(), BenchError> {
        self.ensure(Role::Hot, self.hot.into(), Role::HotMarker).await?;
        self.ensure(Role::Cold, self.cold.into(), Role::ColdMarker).await
    }

    /// Creates `count` accounts of a role, and their marker, unless the marker and the last of
    /// them exist.
    async fn ensure(&self, role: Role, count: u64, marker: Role) -> Result<(), BenchError> {
        if count == 0 {
            return Ok(());
        }
        let mut client = self.client();
        let marker_id = self.ids.id(marker, count);
        let last_id = self.ids.id(role, count - 1);
        if self.exists(&mut client, marker_id).await? && self.exists(&mut client, last_id).await? {
            return Ok(());
        }
        let bar = progress::creation(count);
        let next = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..CREATING_CONNECTIONS {
            let (accounts, bar, next) = (self.clone(), bar.clone(), Arc::clone(&next));
            tasks.spawn(async move { accounts.create_all(role, count, &next, &bar).await });
        }
        while let Some(created) = tasks.join_next().await {
            created??;
        }
        bar.finish_and_clear();
        self.create(&mut client, &mut BytesMut::new(), [marker_id]).await
    }

    /// Creates batches of accounts until `next` reaches `count`.
    async fn create_all(
        &self,
        role: Role,
        count: u64,
        next: &AtomicU64,
        bar: &ProgressBar,
    ) -> Result<(), BenchError> {
        let mut client = self.client();
        let mut body = BytesMut::new();
        loop {
            let first = next.fetch_add(self.batch, Ordering::Relaxed);
            if first >= count {
                return Ok(());
            }
            let end = count.min(first + self.batch);
            let ids = (first..end).map(|index| self.ids.id(role, index));
            self.create(&mut client, &mut body, ids).await?;
            bar.inc(end - first);
        }
    }

    /// Creates one batch of accounts, again and again while the server is busy.
    async fn create(
        &self,
        client: &mut Client,
        buffer: &mut BytesMut,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<(), BenchError> {
        let mut items = 0;
        for id in ids {
            let separator = if items == 0 { '[' } else { ',' };
            let ledger = self.ids.ledger;
            // Writing to a `BytesMut` cannot fail: it grows.
            let _ = write!(
                buffer,
                r#"{separator}{{"id":"{id}","ledger":{ledger},"code":1,"flags":[]}}"#
            );
            items += 1;
        }
        buffer.extend_from_slice(b"]");
        let body = buffer.split().freeze();

        let status = self.send(client, Method::POST, "/accounts", body).await?;
        let mut outcomes = Vec::new();
        outcome::scan(client.reply(), &mut outcomes);
        let created = status == StatusCode::OK
            && outcomes.len() == items
            && outcomes.iter().all(|outcome| *outcome == Outcome::Applied);
        if created { Ok(()) } else { Err(unexpected("POST /accounts", status, client)) }
    }

    async fn exists(&self, client: &mut Client, id: Uuid) -> Result<bool, BenchError> {
        match self.get(client, id).await? {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(unexpected(&format!("GET /accounts/{id}"), status, client)),
        }
    }
}
