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
//! | `disk` | disks that are slow, fail or are full |
//! | `clock` | clocks that jump |
//! | `limits` | limits of memory, processor and descriptors |
//! | `snapshot` | what holds vacuum back, and vacuum |
//! | `tracer`, `small_disk`, `fake_clock`, `cgroup` | what these work with |
//! | `standbys` | the synchronous standby |

mod cgroup;
pub mod clock;
mod crashes;
pub mod disk;
mod fake_clock;
pub mod fault;
mod halts;
mod limits;
mod links;
mod locks;
pub mod mix;
mod moments;
mod processes;
mod sessions;
pub mod small_disk;
pub mod snapshot;
mod standbys;
pub mod tracer;

pub use cgroup::{Cgroup, Controller};
pub use fake_clock::FakeClock;
pub use fault::{Fault, Healed, Wound};
pub use limits::Descriptors;
pub use mix::{Mix, Period};
pub(crate) use processes::children;
pub use processes::{Halted, applying, is_halted, kill};
pub use small_disk::SmallDisk;
pub use tracer::Tracer;
