//! Giro beside what is otherwise done with the same PostgreSQL, in one run: `make bench-compare`.
//!
//! | file | holds |
//! | --- | --- |
//! | `cell` | who is compared, under which conditions |
//! | `arguments`, `plan` | what a run is to be, in which order, and how long it takes |
//! | `run` | a run, from a fresh cluster to the raw file |
//! | `site`, `standby` | the cluster, its databases, the proxies and the standby |
//! | `machine` | where it runs, and the settings that a figure means nothing without |
//! | `fixture`, `*.sql` | tables, functions and scripts of the contenders, and the checks of their balances |
//! | `pgbench`, `giro`, `calls`, `floor` | how each kind of contender is driven |
//! | `watch` | CPU, log and commits of a measured window |
//! | `raw`, `origin` | the raw file, and where it is from |
//! | `figures`, `spread`, `report` | what was wanted, and the tables of docs/performance.md |
//! | `guard` | what a transfer may cost before CI objects |
//! | `draw` | the pictures |
//! | `growth` | throughput and cost as the table grows |
//!
//! A cell is one contender under one condition with one number of clients. What cannot be measured, or does
//! not agree with the balances afterwards, is an error of its cell and never a figure.

mod arguments;
mod calls;
mod cell;
mod draw;
mod figures;
mod fixture;
mod floor;
mod giro;
mod growth;
mod guard;
mod machine;
mod origin;
mod pgbench;
mod plan;
mod raw;
mod report;
mod run;
mod site;
mod spread;
mod stalls;
mod standby;
mod watch;

pub use arguments::{DrawArguments, RunArguments};
pub use draw::Drawn;
pub use figures::{Figure, Verdict, figures};
pub use growth::{GrowthArguments, growth};
pub use guard::{Guard, guards};
pub use pgbench::program as pgbench;
pub use raw::Raw;
pub use run::run;
