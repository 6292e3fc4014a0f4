//! The ledger behind one SQL call a batch. It knows PostgreSQL; it knows nothing of HTTP, and nothing
//! of how batches come about.
//!
//! | file | holds |
//! | --- | --- |
//! | `transfer`, `account`, `field` | requests, parsed once and valid ever after; what is returned |
//! | `id`, `amount`, `flags`, `timestamp`, `json` | their values |
//! | `json_schema` | what the values look like in JSON |
//! | `call` | what an array function is: columns in, verdicts out |
//! | `apply_transfers`, `create_accounts` | the two array functions |
//! | `array` | arrays of replies |
//! | `lane` | one session that applies batches; what is sent again, and what is left unknown |
//! | `failure`, `describe` | what an error proves, and how it is logged |
//! | `reason` | why an item was refused |
//! | `expiry` | releases holds at their deadline |
//! | `readers` | reads by SQL, and dry runs, on a pool of sessions that cannot write |
//! | `connect`, `schema` | sessions by way of a URL, TLS and several hosts; the schema they expect |
//! | `verify` | the audit of a whole ledger |
//! | `doctor` | what hurts a database, or will, and what to do about it |
//! | `mutant` | for tests of the tests: what can be broken on purpose |
//!
//! Invariants:
//! - Nobody is answered before the end of the reply, which comes after the commit.
//! - After a send, the answer is a recorded verdict, or "rolled back" on PostgreSQL's own word, or
//!   unknown.
//! - A session that gave an unknown result is never used again.

mod account;
mod amount;
mod apply_transfers;
mod array;
mod call;
mod connect;
mod create_accounts;
mod describe;
pub mod doctor;
mod expiry;
mod failure;
mod field;
mod flags;
mod id;
mod json;
pub mod json_schema;
mod lane;
mod metrics;
#[doc(hidden)]
pub mod mutant;
mod readers;
mod reason;
#[cfg(test)]
mod round_trips;
pub mod schema;
mod timestamp;
mod transfer;
pub mod verify;

/// What reads bytes from outside, for `fuzz/`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use connect::fuzz;

pub use account::{AccountInput, AccountRecord, Balances, CreatedAccount, NewAccount};
pub use amount::Amount;
pub use apply_transfers::ApplyTransfers;
pub use call::{ArrayCall, Header, Verdict};
pub use connect::{Clock, ConnectError, Connector, Durability, Lineage, Peer, UrlError, mask_url};
pub use create_accounts::CreateAccounts;
pub use expiry::Expiry;
pub use failure::{Cause, Failure};
pub use field::{FieldError, Metadata, Reference};
pub use flags::{AccountFlag, AccountFlags, TransferFlag, TransferFlags};
pub use id::Id;
pub use lane::{Lane, Prepared};
pub use metrics::Metrics;
pub use readers::{
    AccountById, BalanceAt, BalanceRecord, DryRun, ListAccounts, ListBalances, ListTransfers, Load,
    Moment, Order, Page, Read, ReadError, ReadLoad, Readers, Side, Span, TransferById,
    TransferState,
};
pub use reason::Reason;
pub use timestamp::Timestamp;
pub use transfer::{
    AppliedTransfer, ExpectedVersions, HoldState, Inherited, Recorded, Scope, Transfer,
    TransferInput, TransferRecord,
};
