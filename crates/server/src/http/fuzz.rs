//! What a request is read by, without the server around it.

pub use super::serve::follow;

use super::body::is_json;
use super::deadline::deadline;
use super::list::{Balances, account_list, balances_of, transfer_list};
use super::problem::Problem;
use super::query::Listing;
use super::read::ledger_in;
use super::resource::{Accounts, Resource, Transfers};
use super::submit::{Items, idempotency_key, many_in, one_in};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use giro_ledger::{Id, NewAccount, Transfer};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// What the caller would be told, as JSON.
pub type Told = Value;

/// The body of `POST /transfer`.
pub fn transfer(body: &[u8], key: Option<Id>) -> Result<Transfer, Told> {
    one_in::<Transfers>(body, key).map_err(told)
}

/// The body of `POST /account`.
pub fn account(body: &[u8], key: Option<Id>) -> Result<NewAccount, Told> {
    one_in::<Accounts>(body, key).map_err(told)
}

/// The body of `POST /transfers`.
pub fn transfers(body: &[u8], most: usize) -> Result<Vec<Transfer>, Told> {
    many::<Transfers>(body, most)
}

/// The body of `POST /accounts`.
pub fn accounts(body: &[u8], most: usize) -> Result<Vec<NewAccount>, Told> {
    many::<Accounts>(body, most)
}

fn many<R: Resource>(body: &[u8], most: usize) -> Result<Items<R>, Told> {
    let mut found = 1;
    let items = many_in::<R>(body, most, &mut found).map_err(told)?;
    assert_eq!(items.len(), found, "every item is counted");
    Ok(items)
}

fn told(problem: Problem) -> Told {
    serde_json::to_value(problem).expect("a problem is JSON")
}

/// A page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// At most so many items.
    pub limit: u16,
    /// After this one.
    pub after: Option<u128>,
    /// The cursor of the page that goes on after item 7.
    pub next: String,
}

impl Asked {
    fn new(limit: u16, after: Option<u128>, listing: Listing) -> Self {
        Self { limit, after, next: listing.after(7).to_string() }
    }
}

/// The head of a request: a URL, and headers line by line.
#[derive(Debug)]
pub struct Head(Parts);

impl Head {
    /// Nothing where hyper would not let it come to us.
    pub fn new(url: &[u8], headers: &[&[u8]]) -> Option<Self> {
        let mut head = Request::new(()).into_parts().0;
        head.uri = Uri::try_from(url).ok().filter(|url| url.path().starts_with('/'))?;
        for line in headers {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            head.headers.append(name, value);
        }
        Some(Self(head))
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The URL.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// `Request-Timeout-Ms`, from now.
    pub fn timeout(&self, default: Duration, max: Duration) -> Result<Duration, Told> {
        let now = Instant::now();
        deadline(&self.0.headers, default, max).map(|until| until - now).map_err(told)
    }

    /// `Idempotency-Key`
    pub fn key(&self) -> Result<Option<Id>, Told> {
        idempotency_key(&self.0.headers).map_err(told)
    }

    /// `Content-Type`
    pub fn is_json(&self) -> bool {
        is_json(&self.0.headers)
    }

    /// The parameters of `GET /transfers/{id}`.
    pub fn ledger(&self) -> Result<i32, Told> {
        ledger_in(&self.0.uri).map_err(told)
    }

    /// The parameters of `GET /transfers`, or those of an account.
    pub fn transfers(&self, account: Option<Id>) -> Result<Asked, Told> {
        let (list, listing) = transfer_list(account, &self.0.uri).map_err(told)?;
        let after = list.after.map(|seq| seq.unsigned_abs().into());
        Ok(Asked::new(list.limit, after, listing))
    }

    /// The parameters of `GET /accounts`.
    pub fn accounts(&self) -> Result<Asked, Told> {
        let (list, listing) = account_list(&self.0.uri).map_err(told)?;
        Ok(Asked::new(list.limit, list.after.map(u128::from), listing))
    }

    /// The parameters of `GET /accounts/{id}/balances`; no page where one moment is asked for.
    pub fn balances(&self, account: Id) -> Result<Option<Asked>, Told> {
        match balances_of(account, &self.0.uri).map_err(told)? {
            Balances::Then(_) => Ok(None),
            Balances::Page(list, listing) => {
                let after = list.after.map(|seq| seq.unsigned_abs().into());
                Ok(Some(Asked::new(list.limit, after, listing)))
            }
        }
    }
}
