//! The accounts of a run on the server: their creation, and the balances that it shows.
//!
//! - `creation`: makes those that do not exist.

mod creation;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode, Uri};
use serde::Deserialize;
use tokio::time::sleep;
use uuid::Uuid;

use crate::BenchError;
use crate::books::Balances;
use crate::client::{Client, Target};
use crate::ids::{Ids, Role};

const ATTEMPTS: u32 = 8;
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The accounts on a server. They have numbers: first the hot ones, then the others.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    pub(crate) target: Target,
    pub(crate) ids: Ids,
    pub(crate) hot: u32,
    pub(crate) cold: u32,
    /// Accounts in one request.
    pub(crate) batch: u64,
    pub(crate) request_timeout: Duration,
}

/// The part of an account that is read back.
#[derive(Debug, Deserialize)]
struct Account {
    debits_pending: String,
    debits_posted: String,
    credits_pending: String,
    credits_posted: String,
}

impl Account {
    fn balances(&self) -> Option<Balances> {
        let Self { debits_pending, debits_posted, credits_pending, credits_posted } = self;
        let mut balances = Balances::default();
        for (text, balance) in [debits_pending, debits_posted, credits_pending, credits_posted]
            .iter()
            .zip(&mut balances)
        {
            *balance = text.parse().ok()?;
        }
        Some(balances)
    }
}

impl Accounts {
    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.hot + self.cold
    }

    /// The id of the account with this number.
    pub(crate) fn id(&self, number: u32) -> Uuid {
        match number.checked_sub(self.hot) {
            Some(cold) => self.ids.id(Role::Cold, cold.into()),
            None => self.ids.id(Role::Hot, number.into()),
        }
    }

    /// Reads the balances of accounts by their numbers.
    pub(crate) async fn read(
        &self,
        numbers: Range<u32>,
    ) -> Result<Vec<(u32, Balances)>, BenchError> {
        let mut client = self.client();
        let mut read = Vec::new();
        for number in numbers {
            let id = self.id(number);
            let status = self.get(&mut client, id).await?;
            let balances = (status == StatusCode::OK)
                .then(|| serde_json::from_slice::<Account>(client.reply()).ok())
                .flatten()
                .and_then(|account| account.balances())
                .ok_or_else(|| unexpected(&format!("GET /accounts/{id}"), status, &client))?;
            read.push((number, balances));
        }
        Ok(read)
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
