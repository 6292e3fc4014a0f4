//! The batching engine: many callers submit one request each, a few batches go out, and every
//! caller gets its own outcome.
//!
//! It knows entries, time and limits. It knows nothing of SQL, HTTP or ledgers.
//!
//! | file | holds |
//! | --- | --- |
//! | `engine` | all decisions, as a state machine without I/O |
//! | `batcher` | the handle that callers submit to |
//! | `ticket` | what a caller holds while it waits; dropping it gives the place back |
//! | `driver` | carries out what the engine decides |
//! | `lane` | the seam: what opens sessions and sends batches |
//! | `limits` | the bounds, and how they relate |
//! | `metrics` | what can be scraped |
//! | `mutant` | for tests of the tests: what can be broken on purpose |
//! | `simulation` | the engine against a model of a database that fails in every way, by seed |
//!
//! Invariants:
//! - A request is in the queue, or in a batch, or answered: never two of these. One lock decides.
//! - A request that was refused, expired or left by its caller while queued is never sent.
//! - Once sent, it is answered by its outcome, by "rolled back" where that is proven, or by "unknown".
//! - Every queue has a bound, and every wait an end.
//! - A batch holds whole requests, in the order of their admission.

mod batcher;
mod driver;
mod engine;
mod lane;
mod limits;
mod metrics;
#[doc(hidden)]
pub mod mutant;
#[cfg(test)]
mod simulation;
mod ticket;

pub use batcher::{Answer, Batcher, Health};
pub use engine::{BreakerState, Claim, Client, Failure, Pressure, Refused, Size, SubmitError};
pub use lane::Lane;
pub use limits::{Limits, LimitsError};
pub use metrics::Metrics;
pub use ticket::{Ticket, TicketError};
