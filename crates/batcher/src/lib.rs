//! The batching engine: many callers submit one request each, a few batches go out, and every
//! caller gets its own outcome.
//!
//! It knows entries, time and limits. It knows nothing of SQL, HTTP or ledgers.
//!
//! | file | holds |
//! | --- | --- |
//! | `queue` | admission: one bounded queue, admitted or refused at once |
//! | `ticket` | what a caller holds while it waits; dropping it gives the place back |
//! | `dispatch` | the worker of a lane: slot first, batch second; drains on close |
//! | `lane` | the seam: what applies a batch |
//! | `limits` | the bounds, and how they relate |
//! | `metrics` | what can be scraped |
//!
//! Invariants:
//! - A request is in the queue, or in a batch, or answered: never two of these. One lock decides.
//! - A request that was refused, expired or left by its caller while queued is never dispatched.
//! - Every queue has a bound; nothing waits for room.
//! - A batch holds whole requests, in the order of their admission.

mod dispatch;
mod lane;
mod limits;
mod metrics;
mod queue;
mod ticket;

pub use dispatch::Batcher;
pub use lane::{Batch, BatchError, Lane};
pub use limits::{Limits, LimitsError};
pub use metrics::Metrics;
pub use queue::{Size, SubmitError};
pub use ticket::{Ticket, TicketError};
