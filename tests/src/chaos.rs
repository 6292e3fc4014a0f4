//! A storm: callers at work, faults of every kind meanwhile, and afterwards a verdict.
//!
//! | file | holds |
//! | --- | --- |
//! | `proxy_command` | `giro-chaos proxy`: the proxy by hand |
//! | `stage` | the clusters, servers and proxies that faults happen to |
//! | `server` | a place for a server, whose processes come and go |
//! | `replication` | who is the primary, and whose standby follows |
//! | `witness` | a superuser's session and the log, for evidence |

pub mod proxy_command;
mod replication;
mod server;
pub mod stage;
pub mod witness;

pub use server::{StageServer, Target};
pub use stage::{Stage, StagePlan};
pub use witness::{LogFrom, Witness};
