//! What a caller is to send, and how it behaves meanwhile.

use giro_checker::history::{Asked, Item};
use giro_checker::model::transfer::FLAG_NAMES;
use serde_json::{Value, json};
use std::time::Duration;

/// A request that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// What it asks for.
    pub(super) asked: Asked,
    /// What it was made as.
    pub(super) kind: Kind,
    /// Which server is asked.
    pub(super) server: usize,
    /// The deadline that it names.
    pub(super) deadline: Duration,
    /// What its caller does.
    pub(super) manner: Manner,
}

/// What a request was made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Of an account.
    Read,
    /// A direct transfer.
    Plain,
    /// A transfer that reserves.
    Hold,
    /// A post or a void.
    Resolve,
    /// All or nothing.
    Chain,
    /// Several that have nothing to do with each other.
    Bulk,
    /// Something that cannot be applied.
    Invalid,
    /// What was sent before.
    Identical,
    /// An id that was sent before, for something else.
    Altered,
}

impl Kind {
    /// Whether its ids were sent before.
    pub(super) fn is_repeat(self) -> bool {
        matches!(self, Self::Identical | Self::Altered)
    }
}

/// What a caller does with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Waits for the answer.
    Wait,
    /// Closes before all of the body is sent.
    CutBody,
    /// Closes so long after the request was sent.
    Leave(Duration),
    /// Closes its sending side, and waits.
    HalfClose,
}

impl Request {
    /// The transfers that it asks for.
    pub(super) fn items(&self) -> &[Item] {
        items(&self.asked)
    }
}

/// The transfers that something asks for.
pub(super) fn items(asked: &Asked) -> &[Item] {
    match asked {
        Asked::Transfers(items) => items,
        Asked::Account(_) | Asked::Transfer(_) => &[],
    }
}

/// Method, path and body of what is asked for.
pub(super) fn in_http(asked: &Asked) -> (hyper::Method, String, String) {
    match asked {
        Asked::Transfers(items) => match &items[..] {
            [one] => (hyper::Method::POST, "/transfer".into(), transfer(one).to_string()),
            many => {
                let body: Vec<_> = many.iter().map(transfer).collect();
                (hyper::Method::POST, "/transfers".into(), json!(body).to_string())
            }
        },
        Asked::Account(id) => (hyper::Method::GET, format!("/accounts/{id}"), String::new()),
        Asked::Transfer(id) => (hyper::Method::GET, format!("/transfers/{id}"), String::new()),
    }
}

fn transfer(item: &Item) -> Value {
    let mut body = json!({"id": item.id});
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    let given = |number: u64| (number != 0).then(|| json!(number));
    set("debit_account", given(item.debit));
    set("credit_account", given(item.credit));
    set("amount", item.amount.map(|amount| json!(amount)));
    let is_set = |bit: &usize| item.flags >> *bit & 1 == 1;
    let flags: Vec<_> = (0..FLAG_NAMES.len()).filter(is_set).map(|bit| FLAG_NAMES[bit]).collect();
    set("flags", (!flags.is_empty()).then(|| json!(flags)));
    set("pending_id", item.pending_id.map(|id| json!(id)));
    set("timeout", given(item.timeout));
    body
}
