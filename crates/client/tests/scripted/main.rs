//! What the client does about each answer, and about none.

mod answers;
mod calls;
mod limits;
mod script;
mod unknown;

use giro_client::{Client, Id, NotApplied, RetryPolicy, Transfer, Unknown};
use std::time::Duration;

/// Retries at once, so that no test waits for nothing.
fn quick() -> RetryPolicy {
    RetryPolicy { base: Duration::from_millis(1), budget_per_second: 100, ..RetryPolicy::default() }
}

/// A client that is in a hurry only between attempts.
fn client(server: &script::Server) -> Client {
    let limit = Duration::from_secs(20);
    server.client().deadline(limit).attempt_timeout(limit).retries(quick()).build().unwrap()
}

fn payment() -> Transfer {
    Transfer::new(Id::from(1), Id::from(2), 100)
}

#[track_caller]
fn unknown<T: std::fmt::Debug>(result: Result<T, giro_client::Error>) -> Unknown {
    match result {
        Err(giro_client::Error::Unknown(unknown)) => *unknown,
        other => panic!("not unknown: {other:?}"),
    }
}

#[track_caller]
fn not_applied<T: std::fmt::Debug>(result: Result<T, giro_client::Error>) -> NotApplied {
    match result {
        Err(giro_client::Error::NotApplied(not_applied)) => *not_applied,
        other => panic!("not definite: {other:?}"),
    }
}
