//! The accounts of a run on the server: their creation, and the balances read back.
//!
//! To know on a second run that all accounts of a role exist, a marker account is created after
//! all others of that role have been acknowledged. Its id is computed from their number. The
//! marker is never used in a transfer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::{Method, StatusCode, Uri};
use indicatif::ProgressBar;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::BenchError;
use crate::client::{Client, Target};
use crate::ids::{Ids, Role};
use crate::outcome::{self, Outcome};
use crate::progress;

const CREATING_CONNECTIONS: usize = 4;
const ATTEMPTS: u32 = 8;
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The accounts on a server.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    pub(crate) target: Target,
    pub(crate) ids: Ids,
    pub(crate) hot: u64,
    pub(crate) cold: u64,
    /// Accounts in one request.
    pub(crate) batch: u64,
    pub(crate) request_timeout: Duration,
}

/// The part of an account that is read back.
#[derive(Debug, Deserialize)]
struct Balance {
    debits_posted: String,
}

impl Accounts {
    /// Creates the accounts that do not exist yet.
    pub(crate) async fn prepare(&self) -> Result<(), BenchError> {
        self.ensure(Role::Hot, self.hot, Role::HotMarker).await?;
        self.ensure(Role::Cold, self.cold, Role::ColdMarker).await
    }

    /// The sum of `debits_posted` of all hot accounts.
    pub(crate) async fn hot_debits(&self) -> Result<u128, BenchError> {
        let mut client = self.client();
        let mut sum = 0_u128;
        for index in 0..self.hot {
            let id = self.ids.id(Role::Hot, index);
            let status = self.get(&mut client, id).await?;
            let debits = (status == StatusCode::OK)
                .then(|| serde_json::from_slice::<Balance>(client.reply()).ok())
                .flatten()
                .and_then(|balance| balance.debits_posted.parse::<u128>().ok());
            let debits = debits
                .ok_or_else(|| unexpected(&format!("GET /accounts/{id}"), status, &client))?;
            sum = sum.saturating_add(debits);
        }
        Ok(sum)
    }

    /// Creates `count` accounts of a role, and their marker, unless the marker and the last of
    /// them exist.
    async fn ensure(&self, role: Role, count: u64, marker: Role) -> Result<(), BenchError> {
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

    async fn get(&self, client: &mut Client, id: Uuid) -> Result<StatusCode, BenchError> {
        let path = format!("/accounts/{id}?ledger={}", self.ids.ledger);
        self.send(client, Method::GET, &path, Bytes::new()).await
    }

    /// Sends a request that may be repeated, until it is answered with something else than
    /// "busy" or "unknown", or the attempts are used up.
    async fn send(
        &self,
        client: &mut Client,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<StatusCode, BenchError> {
        let uri: Uri = path.parse().expect("made of an id and a number");
        let mut attempts = 0;
        loop {
            attempts += 1;
            client.connect().await?;
            let problem = match client.request(method.clone(), uri.clone(), body.clone()).await {
                Ok(status) if !may_pass(status) => return Ok(status),
                Ok(status) => format!("{status} {}", excerpt(client.reply())),
                Err(failure) => failure.to_string(),
            };
            if attempts == ATTEMPTS {
                let request = format!("{method} {path}");
                return Err(BenchError::NoAnswer { request, attempts, problem });
            }
            sleep(RETRY_AFTER * attempts).await;
        }
    }

    fn client(&self) -> Client {
        Client::new(self.target.clone(), self.request_timeout)
    }
}

/// Whether a later attempt may be answered otherwise.
fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn unexpected(request: &str, status: StatusCode, client: &Client) -> BenchError {
    BenchError::UnexpectedAnswer {
        request: request.to_owned(),
        status: status.as_u16(),
        body: excerpt(client.reply()),
    }
}

/// The start of a body, for a message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned()
}
