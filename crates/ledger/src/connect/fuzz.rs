//! A connection string and what it says, for `fuzz/`.

use super::error::UrlError;
use super::files::Places;
use super::parameters;
use super::url::{Password, Target};

/// Its names and values, in the order in which they are written.
pub fn parameters(text: &str) -> Result<Vec<(String, String)>, UrlError> {
    parameters::parse(text)
}

/// What it means, where no file is named.
#[derive(Debug)]
pub struct Meaning {
    /// Each with its port.
    pub hosts: Vec<String>,
    /// As whom.
    pub user: String,
    /// Which database.
    pub database: String,
    /// With which password.
    pub password: Option<String>,
    /// As it may be shown.
    pub masked: String,
}

/// Without the files beside it.
pub fn meaning(text: &str) -> Result<Meaning, UrlError> {
    let target = Target::with(text, &Places::default())?;
    Ok(Meaning {
        hosts: target.hosts.iter().map(ToString::to_string).collect(),
        masked: target.masked(),
        password: match target.password {
            Password::Given(password) => Some(password),
            Password::None | Password::File(_) => None,
        },
        user: target.user,
        database: target.database,
    })
}
