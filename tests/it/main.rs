//! What Giro promises, against a real PostgreSQL: one module per promise, names are sentences.

mod batching;
mod commands;
mod contract;
mod docs_page;
mod documents;
mod dry_run;
mod expiry;
mod faults;
mod filters;
mod history;
mod idempotency;
mod model;
mod openapi;
mod overload;
mod reading;
mod recipes;
mod replies;
mod roles;
mod rules;
mod schema;
mod shutdown;
mod slow_clients;
mod sql_examples;
mod stalled;
mod structure;
mod verify;
