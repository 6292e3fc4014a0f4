//! An async client of Giro that does what money needs: it makes the id before the first attempt, sends
//! the same id on every retry, and never takes an answer that it did not get for a failure.
//!
//! - [`Client`] has a method a call, and bounds each by a deadline; [`Builder`] makes it.
//! - [`Transfer`] and [`Account`] are what is asked for, [`TransferRecord`] and [`AccountRecord`] what
//!   the server returns.
//! - [`Applied`] and [`Rejected`] are verdicts of the ledger. [`Error`] says of everything else whether it
//!   is definite ([`NotApplied`]) or not ([`Unknown`]).
//!
//! | file | holds |
//! | --- | --- |
//! | `retry` | the rules: what is sent again, when, and when to stop |
//! | `budget` | how many retries all calls together may make |
//! | `client`, `builder` | the calls; the settings |
//! | `call` | one call: its attempts under one deadline |
//! | `connections` | a bounded set of connections, and what a failed one proves |
//! | `reply` | what an answer proves |
//! | `outcome`, `error` | verdicts, and their absence |
//! | `transfer`, `account`, `id`, `decimal` | what is sent and returned, as JSON |
//!
//! `docs/clients.md` has the same rules for every language. The connections belong to the tokio
//! runtime that made the call, so a client is for one runtime.
//!
//! ```no_run
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! use giro_client::{Client, Error, Id, Transfer};
//!
//! let giro = Client::builder("http://127.0.0.1:8080").build()?;
//! let payment = Transfer::new(Id::from(1), Id::from(2), 250);
//! match giro.transfer(&payment).await {
//!     Ok(applied) => println!("paid, seq {}", applied.record.seq),
//!     Err(Error::Rejected(rejected)) => println!("refused: {}", rejected.reason),
//!     Err(Error::NotApplied(error)) => println!("nothing was paid: {error}"),
//!     Err(Error::Unknown(_)) => println!("maybe paid: keep {} and ask again", payment.id),
//! }
//! # Ok(())
//! # }
//! ```

mod account;
mod budget;
mod builder;
mod call;
mod client;
mod connections;
mod decimal;
mod error;
mod id;
mod outcome;
mod reply;
mod retry;
mod transfer;

pub use account::{Account, AccountFlag, AccountRecord};
pub use builder::{BuildError, Builder};
pub use client::Client;
pub use error::{Error, NotApplied, ReadError, Unknown};
pub use id::{Id, ParseIdError};
pub use outcome::{Applied, Rejected, TransferState, Verdict};
pub use retry::{RetryPolicy, Stopped};
pub use transfer::{
    ExpectedVersions, HoldState, Metadata, Scope, Transfer, TransferFlag, TransferRecord,
};
