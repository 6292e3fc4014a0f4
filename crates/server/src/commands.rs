//! One file a command. Each returns how the process ends; an error is printed by the caller.

use std::process::ExitCode;

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod healthcheck;
pub(crate) mod migrate;
pub(crate) mod openapi;
pub(crate) mod serve;
pub(crate) mod verify;

/// How a command ends.
pub(crate) type Ended = Result<ExitCode, Error>;

/// Whatever went wrong, as a message for a person.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
