//! Defaults < file < environment < flags, each key known or refused.

use super::Config;
use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The file that is read when none is named and it exists.
const DEFAULT_FILE: &str = "config/giro.toml";

/// Above this similarity (Jaro-Winkler, 0 to 1) a known key is offered for an unknown one.
const SIMILAR: f64 = 0.8;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key that does not exist.
    #[error("unknown key `{key}`{origin}{suggestion}")]
    UnknownKey {
        /// As it was written.
        key: String,
        /// Where it stands.
        origin: String,
        /// The nearest known key.
        suggestion: String,
    },
    /// A value of the wrong type, or a file that cannot be read.
    #[error("{0}")]
    Value(String),
    /// A file that a variable names.
    #[error("{variable} names {path}, which cannot be read: {source}")]
    SecretFile {
        /// The variable.
        variable: String,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Two variables that say the same.
    #[error("{0} and {1} are both set: keep one")]
    Both(String, String),
    /// Values that contradict each other, one a line.
    #[error("{}", .0.join("\n"))]
    Contradiction(Vec<String>),
}

/// What a start was told beside the defaults.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`; must exist when given.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: HashMap<String, String>,
    /// `--set key=value`, the last word.
    pub flags: Vec<(String, String)>,
}

impl Overrides {
    /// The process's own environment, and nothing else.
    pub fn from_environment() -> Self {
        let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Self { environment: std::env::vars_os().filter_map(text).collect(), ..Self::default() }
    }
}

/// The effective configuration, checked.
pub fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
    let (file, required) = match &overrides.file {
        Some(file) => (file.as_path(), true),
        None => (Path::new(DEFAULT_FILE), false),
    };
    let file = File::from(file).format(FileFormat::Toml).required(required);
    merge(file, overrides)
}

/// The same of a file that is given as text.
#[cfg(fuzzing)]
pub fn load_text(file: &str, overrides: &Overrides) -> Result<Config, ConfigError> {
    merge(File::from_str(file, FileFormat::Toml), overrides)
}

fn merge(
    file: impl Source + Send + Sync + 'static,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let value = |error: config::ConfigError| ConfigError::Value(discreet(&error.to_string()));
    let environment = with_secrets(&overrides.environment)?;
    let mut builder = config::Config::builder().add_source(file).add_source(
        Environment::with_prefix("GIRO")
            .separator("__")
            .try_parsing(true)
            .source(Some(environment)),
    );
    for (key, text) in &overrides.flags {
        let origin = "flag --set".to_owned();
        let parsed = Value::new(Some(&origin), scalar(text));
        builder = builder.set_override(key, parsed).map_err(value)?;
    }
    let merged = builder.build().map_err(value)?;
    refuse_unknown(&merged.cache)?;
    let config: Config = merged.try_deserialize().map_err(value)?;
    let wrong = config.check();
    if wrong.is_empty() { Ok(config) } else { Err(ConfigError::Contradiction(wrong)) }
}

/// A message about a file shows the line at fault: not where that line may hold a password.
fn discreet(message: &str) -> String {
    let may_be_secret = |line: &str| line.contains("://") || line.contains("password");
    let shown = |line| if may_be_secret(line) { "(a line that may hold a password)" } else { line };
    message.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// `DATABASE_URL` is `GIRO__DATABASE__URL`, and either may be named by a file.
fn with_secrets(
    environment: &HashMap<String, String>,
) -> Result<HashMap<String, String>, ConfigError> {
    const NAMES: [&str; 4] =
        ["DATABASE_URL", "DATABASE_URL_FILE", "GIRO__DATABASE__URL", "GIRO__DATABASE__URL_FILE"];
    let mut given = NAMES.into_iter().filter_map(|name| Some((name, environment.get(name)?)));
    let mut environment: HashMap<String, String> = environment
        .iter()
        .filter(|(key, _)| key.starts_with("GIRO__") && !NAMES.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let Some((name, text)) = given.next() else { return Ok(environment) };
    if let Some((other, _)) = given.next() {
        return Err(ConfigError::Both(name.into(), other.into()));
    }
    let url =
        if name.ends_with("_FILE") {
            let secret = std::fs::read_to_string(text).map_err(|source| {
                ConfigError::SecretFile { variable: name.into(), path: text.clone(), source }
            })?;
            secret.trim().to_owned()
        } else {
            text.clone()
        };
    environment.insert("GIRO__DATABASE__URL".into(), url);
    Ok(environment)
}

/// A flag's value as the type it looks like, as for the environment.
fn scalar(text: &str) -> ValueKind {
    if let Ok(number) = text.parse::<i64>() {
        ValueKind::I64(number)
    } else if let Ok(truth) = text.parse::<bool>() {
        ValueKind::Boolean(truth)
    } else {
        ValueKind::String(text.to_owned())
    }
}

fn refuse_unknown(merged: &Value) -> Result<(), ConfigError> {
    let known = known_keys();
    let mut found = Vec::new();
    if let ValueKind::Table(table) = &merged.kind {
        collect(table, "", &mut found);
    }
    found.sort();
    match found.into_iter().find(|(key, _)| !known.contains(key)) {
        None => Ok(()),
        Some((key, origin)) => {
            let nearest = known
                .iter()
                .map(|candidate| (strsim::jaro_winkler(&key, candidate), candidate))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(similarity, _)| *similarity > SIMILAR);
            Err(ConfigError::UnknownKey {
                suggestion: nearest
                    .map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?")),
                origin: origin.map_or_else(String::new, |origin| format!(" in {origin}")),
                key,
            })
        }
    }
}

fn collect(table: &Map<String, Value>, prefix: &str, found: &mut Vec<(String, Option<String>)>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match &value.kind {
            ValueKind::Table(inner) => collect(inner, &format!("{key}."), found),
            _ => found.push((key, value.origin().map(str::to_owned))),
        }
    }
}

/// Every key there is, from the defaults themselves.
pub(super) fn known_keys() -> Vec<String> {
    // Those without a default.
    let mut keys = ["database.url", "server.client_header"].map(str::to_owned).to_vec();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    for (section, settings) in defaults.as_object().into_iter().flatten() {
        for (key, value) in settings.as_object().into_iter().flatten() {
            if !value.is_null() {
                keys.push(format!("{section}.{key}"));
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests;
