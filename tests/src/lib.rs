//! The harness: a real PostgreSQL, a database per test, a real server, and a client.
//!
//! Failing to set up a test is a failed test, so everything here panics with what went wrong.

pub mod chaos;
/// A client of the API.
pub mod client;
/// A clock that a test sets.
pub mod clock;
pub mod cluster;
pub mod compare;
/// A database per test.
pub mod database;
pub mod figures;
pub mod load;
pub mod mutants;
pub mod needs;
pub mod nemesis;
mod plot;
/// A server as a process.
pub mod process;
/// A server in this process.
pub mod server;
pub mod standby;

pub use client::{Client, Reply};
pub use clock::Clock;
pub use database::TestDatabase;
pub use giro_proxy::{Fault, Proxy, Target};
pub use load::Load;
pub use nemesis::Halted;
pub use process::ServerProcess;
pub use server::TestServer;
pub use standby::Pair;

use std::time::Duration;

/// Waits for a condition, without guessing how long it takes; gives up after a minute.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let met = async {
        while !condition().await {
            tick.tick().await;
        }
    };
    let met = tokio::time::timeout(Duration::from_secs(60), met).await;
    assert!(met.is_ok(), "not within a minute: {what}");
}
