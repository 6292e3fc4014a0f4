//! `database.url`: what is understood of a connection string, and what is said of one that is not.
#![no_main]

use giro_ledger::fuzz::{Meaning, meaning, parameters};
use libfuzzer_sys::fuzz_target;

/// In the seeds this stands where a password may be.
const SECRET: &str = "hunter2";

fuzz_target!(|text: &str| {
    let is_plain =
        |(name, _): &(String, String)| name.bytes().all(|byte| byte.is_ascii_lowercase());
    if let Ok(found) = parameters(text)
        && found.iter().all(is_plain)
    {
        assert_eq!(parameters(&written(&found)).expect("as pairs"), found, "read as it is written");
    }
    // Files are not this target's matter.
    if text.contains("file") || text.contains("service") {
        return;
    }
    match meaning(text) {
        Ok(meaning) => {
            assert!(!meaning.hosts.is_empty(), "somewhere to go");
            assert!(!meaning.user.is_empty() && !meaning.database.is_empty());
            shows_no_password(&meaning);
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!holds_secret(text) || !said.contains(SECRET), "{said}");
            assert!(!said.is_empty() && said.len() < 200, "short, whatever the text is: {said}");
        }
    }
});

/// Whether it stands where nothing but a password can be. Elsewhere it may be named, as a parameter.
fn holds_secret(text: &str) -> bool {
    let Some((before, after)) = text.split_once(SECRET) else { return false };
    match before.strip_prefix("postgresql://") {
        Some(user) => user.contains(':') && !user.contains(['/', '?', '@']) && after.contains('@'),
        None => before == "password=" || before == "password='",
    }
}

/// As `key=value` pairs, each value quoted.
fn written(parameters: &[(String, String)]) -> String {
    let quoted = |value: &str| value.replace('\\', r"\\").replace('\'', r"\'");
    let pairs = parameters.iter().map(|(name, value)| format!("{name}='{}' ", quoted(value)));
    pairs.collect()
}

fn shows_no_password(meaning: &Meaning) {
    let Meaning { hosts, user, database, password, masked } = meaning;
    let secret = password.as_ref().map_or("", |_| ":***");
    assert_eq!(*masked, format!("postgresql://{user}{secret}@{}/{database}", hosts.join(",")));
}
