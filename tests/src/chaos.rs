//! A storm: callers at work, faults of every kind meanwhile, and afterwards a verdict.
//!
//! | file | holds |
//! | --- | --- |
//! | `proxy_command` | `giro-chaos proxy`: the proxy by hand |
//! | `stage` | the clusters, servers and proxies that faults happen to |
//! | `server` | a place for a server, whose processes come and go |
//! | `replication` | who is the primary, and whose standby follows |
//! | `witness` | a superuser's session and the log, for evidence |
//! | `workload` | callers at work, by seed |
//! | `recorder`, `timeline` | every attempt, written down and counted |
//! | `scrapes`, `looks` | the servers' metrics, and the sums of the ledger, meanwhile |
//! | `plan`, `facts` | what a run is to be, and what it is on |
//! | `weather`, `run` | faults one after another, and a run from a fresh cluster to a verdict |
//! | `again`, `long` | checks a run again; many runs, one after another |
//! | `alarm` | ends a run that has failed already |
//! | `lock` | keeps two runs out of one directory |
//! | `summary`, `report` | what it has come to |

mod again;
mod alarm;
mod facts;
mod lock;
mod long;
mod looks;
mod plan;
pub mod proxy_command;
mod recorder;
mod replication;
mod report;
mod run;
mod scrapes;
mod server;
pub mod stage;
mod summary;
mod timeline;
mod weather;
pub mod witness;
mod workload;

pub use again::{CheckArguments, check};
pub use long::{LongArguments, Total, long};
pub use looks::Looked;
pub use plan::{RunArguments, RunPlan, Size};
pub use run::run;
pub use server::{StageServer, Target};
pub use stage::{Stage, StagePlan};
pub use summary::Summary;
pub use witness::{LogFrom, Witness};
pub use workload::{Arrivals, Resolved};
