//! The giro server and its commands.
//!
//! | file | holds |
//! | --- | --- |
//! | `cli`, `commands` | the commands, and how each ends |
//! | `config` | every setting |
//! | `app`, `app/engine` | wiring: a server from its configuration; where batcher and ledger meet |
//! | `http` | routes; parse, submit, respond |
//! | `http/openapi`, `http/docs` | the API described, for programs and for people |
//! | `http/serve` | connections and their time-outs |
//! | `provision` | roles and a database in a private cluster |
//! | `outcome` | what became of a request, in one word |
//! | `metrics`, `telemetry` | what is said |
//! | `mutants` | for tests of the tests: what can be broken on purpose |
//! | `descriptors` | room for every connection |

mod app;
mod cli;
mod commands;
mod config;
mod descriptors;
mod http;
mod metrics;
#[cfg(feature = "mutants")]
pub mod mutants;
mod outcome;
mod provision;
mod telemetry;

/// What reads bytes from outside, for `fuzz/`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::config::load_text;
    pub use crate::http::fuzz::*;
}

pub use app::{App, StartError, Stopped};
pub use cli::run;
pub use config::{Config, ConfigError, DatabaseUrl, Overrides, Span, load};
pub use provision::{Provisioned, provision};
