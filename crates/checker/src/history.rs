//! What a run leaves in its directory: one JSON value a line in each file.
//!
//! | file | a line is |
//! | --- | --- |
//! | `history.jsonl` | an [`Attempt`]: a request, and what its caller was told |
//! | `accounts.jsonl` | an [`Opened`] account |
//! | `faults.jsonl` | a [`FaultSpan`] |
//! | `scrapes.jsonl` | a [`Scrape`] of a server's metrics |
//!
//! Times are nanoseconds on the monotonic clock of the one process that ran the callers, from the start
//! of the run.

use crate::model;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The files of a run.
pub const HISTORY: &str = "history.jsonl";
/// See [`Opened`].
pub const ACCOUNTS: &str = "accounts.jsonl";
/// See [`FaultSpan`].
pub const FAULTS: &str = "faults.jsonl";
/// See [`Scrape`].
pub const SCRAPES: &str = "scrapes.jsonl";

/// A post or a void says no code: it is of the code of its hold.
const RESOLVES: u32 = model::transfer::POST_PENDING | model::transfer::VOID_PENDING;

/// The ledger of every account and transfer of a run.
pub const LEDGER: u32 = 1;

/// One request. It is written when its caller stops waiting for it, so every line is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who asked. A caller asks one thing at a time.
    pub caller: u32,
    /// The server that was asked, from 0.
    pub server: u16,
    /// When it was sent.
    pub inv: u64,
    /// When its caller was answered, or left.
    pub ret: u64,
    /// What was asked.
    pub asked: Asked,
    /// What was answered.
    pub answer: Answer,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// `POST /transfer` with one item, `POST /transfers` with more; in order.
    Transfers(Vec<Item>),
    /// `GET /accounts/{id}`
    Account(u64),
    /// `GET /transfers/{id}`, of the final phase.
    Transfer(u64),
}

/// A transfer as it was sent; code is 1, and what is not here was not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: u64,
    /// 0: not sent; the hold's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub debit: u64,
    /// 0: not sent; the hold's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub credit: u64,
    /// Nothing: not sent; all of the hold.
    #[serde(default, skip_serializing_if = "is_default")]
    pub amount: Option<u64>,
    /// Bits, as in [`model::transfer`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub flags: u32,
    /// The hold to post or void.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pending_id: Option<u64>,
    /// Seconds until a hold expires; 0: never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout: u64,
}

/// What a caller learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// One for each item, by position. A request that was refused as a whole has the same for all.
    Told(Vec<Told>),
    /// The account, as it was read.
    Account(Box<Balances>),
    /// 404, by the final phase.
    Absent,
    /// A read that was not answered by what was asked for, and why.
    NotRead(String),
    /// The connection was refused, or its caller left before all was sent: nobody can have run it.
    NotSent,
    /// It was sent, and the connection ended, or its caller left, before it was answered.
    None(String),
}

/// What a caller was told about one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// 200, and what the reply says was applied.
    Applied(Applied),
    /// 422
    Rejected {
        /// Why.
        reason: String,
        /// As the reply says.
        #[serde(default, skip_serializing_if = "is_default")]
        replayed: bool,
    },
    /// 400, 413, 429, 503: this attempt never ran. The reason, or the status where there is none.
    NotApplied(String),
    /// 504
    Unknown,
}

/// A transfer as a reply shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Of the reply, not of the request.
    pub id: u64,
    /// Its place in the order of the ledger.
    pub seq: i64,
    /// The account debited.
    pub debit: u64,
    /// The account credited.
    pub credit: u64,
    /// The amount moved.
    pub amount: u64,
    /// It had been applied before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replayed: bool,
}

/// An account as a reply shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// Counts the changes.
    pub version: i64,
    /// Held on the debit side.
    pub debits_pending: u64,
    /// Debited for good.
    pub debits_posted: u64,
    /// Held on the credit side.
    pub credits_pending: u64,
    /// Credited for good.
    pub credits_posted: u64,
}

/// An account that the run has opened, as it was asked for. Its code is 1, and it is of the one [`LEDGER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its id.
    pub id: u64,
    /// Bits, as in [`model::account`].
    pub flags: u32,
    /// Loosens its limit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overdraft_limit: u64,
}

/// A fault from its first effect to the end of its healing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSpan {
    /// Its name, as `giro-chaos faults` lists it.
    pub fault: String,
    /// Whether it is a crash or a cut, of which a run needs so many.
    pub crash_or_cut: bool,
    /// When it began.
    pub began: u64,
    /// When it was healed.
    pub healed: u64,
    /// What shows that it happened: an exit code, a line of a log, a row of a view.
    pub evidence: String,
    /// Requests that were sent and not answered when it began.
    pub in_flight: u64,
}

/// Metrics of a server at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scrape {
    /// Which server, from 0.
    pub server: u16,
    /// Which process of it, from 0: a restart begins its counters again.
    pub generation: u32,
    /// When.
    pub at: u64,
    /// Nothing was under way any more, and the process was not killed: what it counts is all that it did.
    pub at_rest: bool,
    /// By name with labels, as they are printed.
    pub values: BTreeMap<String, f64>,
}

impl From<&Item> for model::Transfer {
    fn from(item: &Item) -> Self {
        Self {
            id: item.id.into(),
            ledger: LEDGER,
            debit: item.debit.into(),
            credit: item.credit.into(),
            amount: item.amount.map(u128::from),
            code: if item.flags & RESOLVES == 0 { 1 } else { 0 },
            flags: item.flags,
            pending_id: item.pending_id.map(u128::from),
            timeout: item.timeout,
            ..Self::default()
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
