//! What an answer proves.
//!
//! The outcome in the body is believed when it goes with the status and, for a verdict, with the id that was
//! asked for. An answer that is not Giro's (a proxy's) proves nothing, unless it says that the request was at
//! fault: a proxy's 502, 503 or 504 may well follow a request that arrived.

use crate::connections::{Lost, Reply};
use crate::retry::Fate;
use crate::{AccountRecord, Applied, Id, Rejected, TransferState, Verdict};
use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::time::Duration;

/// Why an attempt brought no verdict.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fate: Fate,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) field: Option<String>,
    pub(crate) index: Option<usize>,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn is_unknown(&self) -> bool {
        self.fate == Fate::Unknown
    }
}

/// Whether an earlier attempt of the same call was unknown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doubt(pub(crate) bool);

/// The one refusal that is not recorded: it says nothing of an earlier attempt, which may have been
/// applied, or may be yet.
const UNRECORDED: &str = "refused_by_database";

impl Doubt {
    fn is_left_by<R>(self, verdict: &Verdict<R>) -> bool {
        self.0 && matches!(verdict, Verdict::Rejected(rejected) if rejected.reason == UNRECORDED)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Applied,
    Rejected,
    NotApplied,
    Unknown,
}

/// The fields that say what became of a request: of a problem, and of an item in an array.
#[derive(Debug, Default, Deserialize)]
struct Head {
    outcome: Option<Outcome>,
    #[serde(default)]
    replayed: bool,
    reason: Option<String>,
    id: Option<Id>,
    field: Option<String>,
    index: Option<usize>,
    detail: Option<String>,
    retry_after_ms: Option<u64>,
}

/// The verdict about one item.
pub(crate) fn verdict<R: DeserializeOwned>(
    reply: &Reply,
    id: Id,
    doubt: Doubt,
) -> Result<Verdict<R>, Box<Failure>> {
    match reply.status {
        StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY => {
            let found = parse(reply).and_then(|raw| item(raw, id));
            let verdict = found.map_err(|problem| unreadable(reply, problem))?;
            let goes_with_status =
                matches!(verdict, Verdict::Applied(_)) == (reply.status == StatusCode::OK);
            match goes_with_status {
                true if doubt.is_left_by(&verdict) => Err(unsettled(reply)),
                true => Ok(verdict),
                false => Err(unreadable(reply, "its outcome does not go with its status".into())),
            }
        }
        _ => Err(failure(reply)),
    }
}

/// The verdict about each of many items, by position.
pub(crate) fn verdicts<R: DeserializeOwned>(
    reply: &Reply,
    ids: &[Id],
    doubt: Doubt,
) -> Result<Vec<Verdict<R>>, Box<Failure>> {
    if reply.status != StatusCode::OK {
        return Err(failure(reply));
    }
    let found = parse::<Vec<&RawValue>>(reply).and_then(|items| match items.len() == ids.len() {
        true => items.into_iter().zip(ids).map(|(raw, &id)| item(raw, id)).collect(),
        false => Err(format!("{} items instead of {}", items.len(), ids.len())),
    });
    let verdicts: Vec<Verdict<R>> = found.map_err(|problem| unreadable(reply, problem))?;
    match verdicts.iter().any(|verdict| doubt.is_left_by(verdict)) {
        true => Err(unsettled(reply)),
        false => Ok(verdicts),
    }
}

/// What is known of a transfer's id.
pub(crate) fn state(reply: &Reply, id: Id) -> Result<TransferState, Box<Failure>> {
    if reply.status == StatusCode::OK {
        return record(reply).map(TransferState::Applied);
    }
    let head = not_found(reply, id)?;
    match (head.outcome, head.reason) {
        (Some(Outcome::Rejected), Some(reason)) => {
            Ok(TransferState::Rejected(Rejected { id, reason, replayed: true }))
        }
        (None, None) => Ok(TransferState::Undecided),
        _ => Err(unreadable(reply, "it is not of a read".into())),
    }
}

/// An account, if there is one.
pub(crate) fn account(reply: &Reply, id: Id) -> Result<Option<AccountRecord>, Box<Failure>> {
    match reply.status == StatusCode::OK {
        true => record(reply).map(Some),
        false => not_found(reply, id).map(|_| None),
    }
}

/// A 404 about this very id; a path that is unknown to some proxy is another.
fn not_found(reply: &Reply, id: Id) -> Result<Head, Box<Failure>> {
    let head = parse::<Head>(reply).unwrap_or_default();
    match reply.status == StatusCode::NOT_FOUND && head.id == Some(id) {
        true => Ok(head),
        false => Err(failure(reply)),
    }
}

fn record<R: DeserializeOwned>(reply: &Reply) -> Result<R, Box<Failure>> {
    parse(reply).map_err(|problem| unreadable(reply, problem))
}

fn item<R: DeserializeOwned>(raw: &RawValue, id: Id) -> Result<Verdict<R>, String> {
    let head: Head = from_text(raw.get())?;
    if head.id != Some(id) {
        return Err("it is about another id".into());
    }
    match (head.outcome, head.reason) {
        (Some(Outcome::Applied), _) => {
            let record = from_text(raw.get())?;
            Ok(Verdict::Applied(Applied { replayed: head.replayed, record }))
        }
        (Some(Outcome::Rejected), Some(reason)) => {
            Ok(Verdict::Rejected(Rejected { id, reason, replayed: head.replayed }))
        }
        _ => Err("it has no verdict".into()),
    }
}

/// What an answer proves that is no verdict.
fn failure(reply: &Reply) -> Box<Failure> {
    let head = parse::<Head>(reply).unwrap_or_default();
    let status = reply.status;
    let at_fault = status.is_redirection()
        || status.is_client_error() && status != StatusCode::UNPROCESSABLE_ENTITY;
    let fate = match (status, head.outcome) {
        (StatusCode::TOO_MANY_REQUESTS, None | Some(Outcome::NotApplied)) => Fate::NotApplied,
        (StatusCode::SERVICE_UNAVAILABLE, Some(Outcome::NotApplied)) => Fate::NotApplied,
        (_, None | Some(Outcome::NotApplied)) if at_fault => Fate::Final,
        _ => Fate::Unknown,
    };
    let said = head.detail.unwrap_or_else(|| "without a problem of Giro's".into());
    Box::new(Failure {
        fate,
        retry_after: head.retry_after_ms.map(Duration::from_millis).or(reply.retry_after),
        status: Some(status.as_u16()),
        reason: head.reason,
        field: head.field,
        index: head.index,
        detail: format!("{status}: {said}"),
    })
}

/// This attempt changed nothing, and leaves an earlier one as unknown as it was.
fn unsettled(reply: &Reply) -> Box<Failure> {
    let mut failure = failure(reply);
    failure.fate = Fate::NotApplied;
    failure
}

/// The server did something, and its account of it cannot be read.
fn unreadable(reply: &Reply, problem: String) -> Box<Failure> {
    let mut failure = failure(reply);
    failure.fate = Fate::Unknown;
    failure.detail = format!("the answer, {}, cannot be read: {problem}", reply.status);
    failure
}

impl From<Lost> for Box<Failure> {
    fn from(lost: Lost) -> Self {
        let (fate, detail) = match lost {
            Lost::NotSent(detail) => (Fate::NotApplied, detail),
            Lost::Sent(detail) => (Fate::Unknown, detail),
        };
        let (retry_after, status) = (None, None);
        let (reason, field, index) = (None, None, None);
        Box::new(Failure { fate, retry_after, status, reason, field, index, detail })
    }
}

fn parse<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, String> {
    serde_json::from_slice(&reply.body).map_err(|error| error.to_string())
}

fn from_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
