//! Holds what callers were told against what a ledger holds.
//!
//! A run leaves a directory: what was asked and answered ([`history`]), and a database. The checker reads
//! both, and nothing else. It shares no code with what it checks; what the rules of the ledger are, the
//! [`model`] says in its own words.

pub mod history;
pub mod model;
