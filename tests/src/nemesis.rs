//! The faults of a storm. Each happens to a [`Stage`](crate::chaos::Stage), shows by evidence of its own
//! that it has happened, and is healed.
//!
//! | file | holds |
//! | --- | --- |
//! | `fault` | their names, and which are crashes or cuts |
//! | `mix` | which of them happen when |
//! | `moments` | the moments at which a fault matters |
//! | `processes` | signals to backends, postmasters and servers |
//! | `crashes` | processes that end |
//! | `halts` | processes that stand still |
//! | `sessions` | sessions that are ended or not let in |
//! | `links` | the network between a server and PostgreSQL |
//! | `locks` | locks of another session |
//! | `standbys` | the synchronous standby |

mod crashes;
pub mod fault;
mod halts;
mod links;
mod locks;
pub mod mix;
mod moments;
mod processes;
mod sessions;
mod standbys;

pub use fault::{Fault, Wound};
pub use mix::{Mix, Period};
pub use processes::{Halted, applying, is_halted, kill};
