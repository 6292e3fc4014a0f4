//! What Giro promises, against a real PostgreSQL: one module per promise, names are sentences.

mod batching;
mod commands;
mod contract;
mod documents;
mod dry_run;
mod expiry;
mod faults;
mod filters;
mod history;
mod idempotency;
mod model;
mod overload;
mod reading;
mod replies;
mod roles;
mod schema;
mod shutdown;
mod slow_clients;
mod stalled;
mod structure;
