//! Settings from a file, the environment and flags. The three follow each other in the input: the file,
//! a line `---`, then lines `NAME=value`, and lines `--set key=value`.
#![no_main]

use giro_server::{Config, ConfigError, Overrides, fuzz::load_text};
use libfuzzer_sys::{Corpus, fuzz_target};

/// A URL is read by another target; this one is only to be kept secret.
const URL: &str = "postgresql://giro:hunter2@db/giro?sslmode=disable";

fuzz_target!(|text: &str| -> Corpus {
    let (file, rest) = text.split_once("\n---\n").unwrap_or((text, ""));
    // A URL may name files, and so may these variables; and no secret stands where none belongs.
    if text.contains("url") || text.contains("URL") || text.contains("hunter2") {
        return Corpus::Reject;
    }
    let mut overrides = Overrides::default();
    overrides.environment.insert("DATABASE_URL".into(), URL.into());
    for (name, value) in rest.lines().filter_map(|line| line.split_once('=')) {
        match name.strip_prefix("--set ") {
            Some(key) => overrides.flags.push((key.into(), value.into())),
            None => drop(overrides.environment.insert(name.into(), value.into())),
        }
    }
    match load_text(file, &overrides) {
        Ok(config) => accepted(&config),
        Err(error) => refused(&error),
    }
    Corpus::Keep
});

fn accepted(config: &Config) {
    assert_eq!(config.check(), [""; 0], "what is loaded has been checked");
    let shown = format!("{:?}", config.database.url);
    assert!(!shown.contains("hunter2"), "{shown}");
    let mut plain = config.clone();
    plain.database.url = None;
    let shown = toml::to_string(&plain).expect("settings are TOML");
    let again = load_text(&shown, &Overrides::default()).expect("what is shown can be loaded");
    assert_eq!(again, plain, "loaded, shown and loaded again");
}

fn refused(error: &ConfigError) {
    let said = error.to_string();
    assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
    match error {
        ConfigError::UnknownKey { key, .. } => assert!(said.contains(key.as_str())),
        ConfigError::Contradiction(wrong) => assert!(!wrong.is_empty()),
        ConfigError::Value(_) | ConfigError::SecretFile { .. } | ConfigError::Both(..) => {}
    }
}
