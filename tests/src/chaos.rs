//! A storm: callers at work, faults of every kind meanwhile, and afterwards a verdict.
//!
//! | file | holds |
//! | --- | --- |
//! | `proxy_command` | `giro-chaos proxy`: the proxy by hand |
//! | `stage` | the clusters, servers and proxies that faults happen to |

pub mod proxy_command;
pub mod stage;

pub use stage::{Stage, StagePlan, Target};
