//! Where figures are from: without it they mean nothing, and are not drawn.

use super::raw::{joined, json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Settings that a figure means nothing without; all of them are on.
pub(super) const DURABILITY: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// Where, of what and when it was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// When it began, in UTC.
    pub began: String,
    /// Where it ran, by name: processor, cores, memory, kernel, file system.
    pub machine: BTreeMap<String, String>,
    /// What the machine took away before anything ran on it, in words.
    pub stalls: String,
    /// Of the programs, by name.
    pub versions: BTreeMap<String, String>,
    /// Of PostgreSQL, by name.
    pub settings: BTreeMap<String, String>,
    /// What the run was to be, by name.
    pub plan: BTreeMap<String, String>,
}

impl Origin {
    /// The day on which it began.
    pub(super) fn date(&self) -> &str {
        self.began.split('T').next().unwrap_or_default()
    }

    /// Why this is no basis for a report.
    pub fn refusal(&self) -> Option<String> {
        let lacks = |map: &BTreeMap<String, String>, names: &[&str]| {
            let missing = |name: &&&str| map.get(**name).is_none_or(|value| value.is_empty());
            names.iter().find(missing).map(|name| name.to_string())
        };
        let missing = lacks(&self.machine, &["cpu_model", "cores", "memory", "kernel"])
            .or_else(|| lacks(&self.versions, &["postgresql", "giro", "commit", "pgbench"]))
            .or_else(|| lacks(&self.settings, &DURABILITY));
        missing
            .map(|name| format!("it does not say {name}"))
            .or_else(|| not_durable(&self.settings))
    }

    /// As the beginning of a JSON object.
    pub(super) fn text(&self) -> String {
        let (began, stalls) = (json(&self.began), json(&self.stalls));
        let mut text = format!("{{\n\"began\": {began},\n\"stalls\": {stalls},\n");
        let maps = [
            ("machine", &self.machine),
            ("versions", &self.versions),
            ("settings", &self.settings),
            ("plan", &self.plan),
        ];
        for (name, map) in maps {
            let lines = map.iter().map(|(key, value)| format!("  {}: {}", json(key), json(value)));
            let _ = writeln!(text, "\"{name}\": {{\n{}\n}},", joined(lines));
        }
        text
    }
}

/// The setting that is not on, if there is one.
pub(super) fn not_durable(settings: &BTreeMap<String, String>) -> Option<String> {
    let value = |name: &str| settings.get(name).map_or("not known", String::as_str);
    let off = DURABILITY.into_iter().find(|name| value(name) != "on")?;
    Some(format!("{off} is {}: what is not durable is not compared", value(off)))
}
