use crate::budget::RetryBudget;
use crate::builder::LONGEST;
use crate::call::Call;
use crate::connections::Connections;
use crate::{
    Account, AccountRecord, Applied, Builder, Error, Id, ReadError, RetryPolicy, Transfer,
    TransferRecord, TransferState, Verdict, reply,
};
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A client of one server, or of several behind one address. Clones share connections and retry budget.
///
/// Every call ends by its deadline. A call whose future is dropped may have been applied: send the
/// same value again.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deadline: Duration,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connections: Connections,
    pub(crate) retries: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) attempt_timeout: Duration,
    pub(crate) client_header: Option<(HeaderName, HeaderValue)>,
}

impl Client {
    /// Settings for a client of the server at this URL: `http://host:port`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// This client with another deadline for each call: the time that *its* caller has left, say.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Makes one transfer.
    ///
    /// # Errors
    ///
    /// An [`Error`] that says whether it is definite that the transfer was not made.
    pub async fn transfer(&self, transfer: &Transfer) -> Result<Applied<TransferRecord>, Error> {
        self.create_one("/transfer", transfer, transfer.id).await
    }

    /// Makes many transfers: admitted all or none, judged in order, answered by position. Retried as
    /// a whole, which is safe for the same reason as one.
    ///
    /// # Errors
    ///
    /// An [`Error`] about all of them, never [`Error::Rejected`].
    pub async fn transfers(
        &self,
        transfers: &[Transfer],
    ) -> Result<Vec<Verdict<TransferRecord>>, Error> {
        let ids = transfers.iter().map(|transfer| transfer.id).collect();
        self.create_many("/transfers", transfers, ids).await
    }

    /// Creates one account, or finds that it is there.
    ///
    /// # Errors
    ///
    /// An [`Error`] that says whether it is definite that the account was not created.
    pub async fn create_account(&self, account: &Account) -> Result<Applied<AccountRecord>, Error> {
        self.create_one("/account", account, account.id).await
    }

    /// Creates many accounts, as [`transfers`](Self::transfers) makes many transfers.
    ///
    /// # Errors
    ///
    /// An [`Error`] about all of them, never [`Error::Rejected`].
    pub async fn create_accounts(
        &self,
        accounts: &[Account],
    ) -> Result<Vec<Verdict<AccountRecord>>, Error> {
        let ids = accounts.iter().map(|account| account.id).collect();
        self.create_many("/accounts", accounts, ids).await
    }

    /// Settles what became of a transfer's id, for good: if it was never decided it is refused from now on,
    /// with the reason `cancelled`; else the answer is what was decided.
    ///
    /// It is for a caller who no longer wants a transfer that ended unknown. It is no refund: what was
    /// applied stays applied.
    ///
    /// # Errors
    ///
    /// An [`Error`] when it is not settled, never [`Error::Rejected`]. Cancel it again.
    pub async fn cancel(&self, ledger: u32, id: Id) -> Result<Verdict<TransferRecord>, Error> {
        let uri = uri(format!("/transfers/{id}/cancel?ledger={ledger}"));
        let call = Call { method: Method::POST, uri, body: Bytes::new() };
        let answer = self
            .shared
            .call(&call, self.until(), |reply, doubt| reply::verdict(reply, id, doubt))
            .await;
        answer.map_err(|undecided| undecided.into_error(vec![id]))
    }

    /// Reads what became of a transfer's id.
    ///
    /// # Errors
    ///
    /// A [`ReadError`] when it could not be read in time.
    pub async fn get_transfer(&self, ledger: u32, id: Id) -> Result<TransferState, ReadError> {
        let call = get(format!("/transfers/{id}?ledger={ledger}"));
        Ok(self.shared.call(&call, self.until(), |reply, _| reply::state(reply, id)).await?)
    }

    /// Reads an account and its balances; nothing when there is none.
    ///
    /// # Errors
    ///
    /// A [`ReadError`] when it could not be read in time.
    pub async fn get_account(
        &self,
        ledger: u32,
        id: Id,
    ) -> Result<Option<AccountRecord>, ReadError> {
        let call = get(format!("/accounts/{id}?ledger={ledger}"));
        Ok(self.shared.call(&call, self.until(), |reply, _| reply::account(reply, id)).await?)
    }

    async fn create_one<R: DeserializeOwned>(
        &self,
        path: &'static str,
        item: &impl Serialize,
        id: Id,
    ) -> Result<Applied<R>, Error> {
        let call = post(path, item);
        let answer = self
            .shared
            .call(&call, self.until(), |reply, doubt| reply::verdict(reply, id, doubt))
            .await;
        let verdict: Verdict<R> = answer.map_err(|undecided| undecided.into_error(vec![id]))?;
        Ok(verdict.into_result()?)
    }

    async fn create_many<R: DeserializeOwned>(
        &self,
        path: &'static str,
        items: &[impl Serialize],
        ids: Vec<Id>,
    ) -> Result<Vec<Verdict<R>>, Error> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let call = post(path, items);
        let until = self.until();
        let answer = self
            .shared
            .call(&call, until, |reply, doubt| reply::verdicts(reply, &ids, doubt))
            .await;
        answer.map_err(|undecided| undecided.into_error(ids))
    }

    fn until(&self) -> Instant {
        Instant::now() + self.deadline.min(LONGEST)
    }
}

fn get(path: String) -> Call {
    Call { method: Method::GET, uri: uri(path), body: Bytes::new() }
}

fn post<T: Serialize + ?Sized>(path: &'static str, content: &T) -> Call {
    let body = serde_json::to_vec(content).expect("strings, numbers and maps with text keys");
    Call { method: Method::POST, uri: Uri::from_static(path), body: body.into() }
}

fn uri(path: String) -> Uri {
    path.try_into().expect("made of ids and numbers")
}
