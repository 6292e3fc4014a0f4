//! A storm: callers at work, faults of every kind meanwhile, and afterwards a verdict.
//!
//! | file | holds |
//! | --- | --- |
//! | `stage` | the clusters, servers and proxies that faults happen to |

pub mod stage;

pub use stage::{Stage, StagePlan, Target};
