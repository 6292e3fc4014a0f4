//! The faults of a storm. Each happens to a [`Stage`], shows by evidence of its own that it has happened,
//! and is healed.
//!
//! | file | holds |
//! | --- | --- |
//! | `fault` | their names, and which are crashes or cuts |
//! | `processes` | signals to backends, postmasters and servers |

pub mod fault;
mod processes;

pub use fault::{Fault, Wound};
pub use processes::{Halted, applying, kill};
