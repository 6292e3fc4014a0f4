//! Holds what callers were told against what a ledger holds.
//!
//! A run leaves a directory: what was asked and answered ([`history`]), and a database. The checker reads
//! both, and nothing else. It shares no code with what it checks; what the rules of the ledger are, the
//! [`model`] says in its own words.
//!
//! | file | holds |
//! | --- | --- |
//! | `history` | what a run leaves in its directory |
//! | `model` | the rules of the ledger in plain Rust |
//! | `check` | a check from beginning to end |
//! | `files`, `session`, `load`, `asked`, `stored` | how the files and the ledger come into memory |
//! | `predicates`, `../sql` | C1 to C10, in SQL |
//! | `timeline` | when everything can have happened, and in which order along each account |
//! | `order`, `graph` | C11: there is one order of everything |
//! | `answers` | C12: one answer for an id, and the right one |
//! | `replay` | C13: the model decides the same |
//! | `reads` | C14: what was read was so |
//! | `resolved` | C15: nobody is left in doubt |
//! | `bookkeeping` | C16: the servers count what they did |
//! | `verdict`, `gates`, `seen` | what was found, and whether the run can have found anything |

mod answers;
mod asked;
mod bookkeeping;
mod check;
mod error;
mod files;
mod gates;
mod graph;
pub mod history;
mod load;
pub mod model;
mod order;
mod predicates;
mod reads;
mod replay;
mod resolved;
mod seen;
mod session;
mod stored;
mod timeline;
mod verdict;

pub use error::CheckError;
pub use gates::Gates;
pub use verdict::{Gate, Predicate, Verdict};

use session::Session;
use std::path::Path;

/// Checks a run whose servers have stopped: its directory, and the database it left, as a role that may read
/// the tables and create the schema `chaos_check`.
///
/// It holds the history and the ledger in memory, about 600 bytes for each transfer; PostgreSQL needs about as
/// much on disk, for as long as it runs.
pub async fn check(directory: &Path, url: &str) -> Result<Verdict, CheckError> {
    check_with(directory, url, false).await
}

/// Like [`check`]; `keep` leaves the schema `chaos_check` behind, for a look by hand.
pub async fn check_with(directory: &Path, url: &str, keep: bool) -> Result<Verdict, CheckError> {
    let session = Session::open(url).await?;
    let verdict = check::run(directory, &session, url).await;
    let dropped = match keep {
        true => Ok(()),
        false => session.run("drop the schema", check::DROP).await,
    };
    // What went wrong first says more.
    let verdict = verdict?;
    dropped.map(|()| verdict)
}
