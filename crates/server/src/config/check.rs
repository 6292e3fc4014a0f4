//! What no server could run with, and limits that contradict each other.

use super::{Config, Span};
use axum::http::HeaderName;
use bytesize::ByteSize;
use giro_ledger::Transfer;
use std::time::Duration;

/// PostgreSQL's time-outs are whole milliseconds.
const SHORTEST: Span = Span(Duration::from_millis(1));
const LONGEST: Span = Span::from_secs(3600);
/// Lanes, and batches in flight on one: more would only wait for each other.
const PARALLEL_MAX: usize = 64;
/// A seq has room for so many positions in a batch.
const BATCH_ITEMS_MAX: usize = 65_535;

impl Config {
    /// What is wrong, one message each, with both numbers where two contradict each other. Empty for a
    /// usable configuration.
    pub fn check(&self) -> Vec<String> {
        let limits = self.limits().check().err().map(|error| error.to_string());
        let parts = [self.counts(), self.times(), self.sizes(), self.formats()];
        limits.into_iter().chain(parts.into_iter().flatten()).collect()
    }

    fn counts(&self) -> Vec<String> {
        let Self { server, database, batch, .. } = self;
        let sessions = database.read_sessions as usize;
        let ranges = [
            ("server.max_connections", server.max_connections, usize::MAX),
            ("database.read_sessions", sessions, usize::MAX),
            ("database.lanes", database.lanes, PARALLEL_MAX),
            ("batch.in_flight", batch.in_flight, PARALLEL_MAX),
            ("batch.max_items", batch.max_items, BATCH_ITEMS_MAX),
        ];
        let mut wrong = Vec::new();
        for (key, value, most) in ranges {
            refuse(&mut wrong, value == 0, || format!("{key} must not be 0"));
            refuse(&mut wrong, value > most, || format!("{key} ({value}) is above {most}"));
        }
        wrong
    }

    fn times(&self) -> Vec<String> {
        let Self { server, database, queue, batch, .. } = self;
        let mut wrong = Vec::new();
        for (key, value, shortest) in [
            ("server.idle_timeout", server.idle_timeout, SHORTEST),
            ("server.header_timeout", server.header_timeout, SHORTEST),
            ("server.body_timeout", server.body_timeout, SHORTEST),
            ("server.write_timeout", server.write_timeout, SHORTEST),
            ("server.request_timeout", server.request_timeout, SHORTEST),
            ("server.max_request_timeout", server.max_request_timeout, SHORTEST),
            ("server.drain_timeout", server.drain_timeout, SHORTEST),
            ("database.connect_timeout", database.connect_timeout, SHORTEST),
            ("database.statement_timeout", database.statement_timeout, SHORTEST),
            ("database.lock_timeout", database.lock_timeout, SHORTEST),
            ("queue.target_wait", queue.target_wait, SHORTEST),
            ("queue.max_wait", queue.max_wait, SHORTEST),
            ("batch.max_wait", batch.max_wait, Span::from_secs(0)),
        ] {
            refuse(&mut wrong, value < shortest, || format!("{key} ({value}) is below {shortest}"));
            refuse(&mut wrong, value > LONGEST, || format!("{key} ({value}) is above {LONGEST}"));
        }
        let mut ordered = |low: (&str, Span), high: (&str, Span), otherwise: &str| {
            refuse(&mut wrong, low.1 > high.1, || {
                format!("{} ({}) is above {} ({}): {otherwise}", low.0, low.1, high.0, high.1)
            });
        };
        let request_timeout = ("server.request_timeout", server.request_timeout);
        let statement_timeout = ("database.statement_timeout", database.statement_timeout);
        ordered(
            request_timeout,
            ("server.max_request_timeout", server.max_request_timeout),
            "a caller that names no deadline would exceed the longest",
        );
        ordered(
            ("batch.max_wait", batch.max_wait),
            request_timeout,
            "callers would give up before their batch is sent",
        );
        ordered(
            ("database.lock_timeout", database.lock_timeout),
            statement_timeout,
            "a wait for a lock could never time out by itself",
        );
        ordered(
            statement_timeout,
            ("server.max_request_timeout", server.max_request_timeout),
            "a batch could run on after the last caller has left",
        );
        ordered(
            ("queue.max_wait", queue.max_wait),
            ("server.max_request_timeout", server.max_request_timeout),
            "no request could wait for that long",
        );
        ordered(
            ("database.statement_timeout and a second", Span(self.watchdog())),
            ("server.drain_timeout", server.drain_timeout),
            "a stop would not await a batch that hangs",
        );
        wrong
    }

    fn sizes(&self) -> Vec<String> {
        let Self { server, queue, batch, .. } = self;
        let one_transfer = ByteSize::b(Transfer::BYTES_MAX as u64);
        let mut wrong = Vec::new();
        let mut ordered = |low: (&str, ByteSize), high: (&str, ByteSize), otherwise: &str| {
            refuse(&mut wrong, low.1 > high.1, || {
                format!("{} ({}) is below {} ({}): {otherwise}", high.0, high.1, low.0, low.1)
            });
        };
        ordered(
            ("the largest transfer", one_transfer),
            ("batch.max_bytes", batch.max_bytes),
            "no batch could hold it",
        );
        ordered(
            ("server.max_body_bytes", server.max_body_bytes),
            ("server.max_bulk_body_bytes", server.max_bulk_body_bytes),
            "an array could hold less than one transfer",
        );
        ordered(
            ("server.max_bulk_body_bytes", server.max_bulk_body_bytes),
            ("queue.max_bytes", queue.max_bytes),
            "such a body could never be read",
        );
        wrong
    }

    fn formats(&self) -> Vec<String> {
        let Self { server, admin, database, log, .. } = self;
        let mut wrong = Vec::new();
        let same = server.listen.port() != 0 && server.listen == admin.listen;
        refuse(&mut wrong, same, || {
            format!("server.listen and admin.listen are both {}", admin.listen)
        });
        if let Some(name) = &server.client_header
            && HeaderName::try_from(name).is_err()
        {
            wrong.push(format!("server.client_header ({name:?}) is not the name of a header"));
        }
        if let Err(error) = log.filter.parse::<tracing_subscriber::EnvFilter>() {
            wrong.push(format!("log.filter ({}) cannot be read: {error}", log.filter));
        }
        if let Some(url) = &database.url
            && let Err(error) = self.connector(url)
        {
            wrong.push(format!("database.url {error}"));
        }
        wrong
    }
}

fn refuse(wrong: &mut Vec<String>, broken: bool, message: impl FnOnce() -> String) {
    if broken {
        wrong.push(message());
    }
}
