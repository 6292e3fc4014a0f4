//! What a look at a database found.

use super::check::Check;
use super::sessions::SessionSeen;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Notice,
    /// It will hurt, or costs already.
    Warning,
    /// It hurts now, or what is acknowledged can be lost.
    Critical,
}

impl Severity {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

const WAITS_FOR_STANDBY: &str = "It has committed and waits for a synchronous standby: bring that back. Never cancel or terminate it, which \
     would be taken for a commit that is on both disks.";
const BEHIND_STANDBY: &str = "It waits for a session that has committed and waits for a synchronous standby, or of which this role sees \
     nothing: see `blocking`. To end this one helps nobody. Once the standby is back, both go on.";
const HIDDEN: &str = "This role does not see what it does: it could be a commit that waits for a standby, which is \
                      never to be ended. Look with a role that sees it.";

/// Something that hurts, with what to do about it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was looked for.
    pub id: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, with numbers.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
    /// To be pasted, once it has been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The sessions it is about; those that wait come after whom they wait for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionSeen>,
}

impl Finding {
    pub(super) fn new(id: Check, severity: Severity, evidence: impl Into<String>) -> Self {
        debug_assert!(id.severities().contains(&severity), "{} as {severity}", id.name());
        let (evidence, remedy) = (evidence.into(), String::new());
        Self { id, severity, evidence, remedy, sql: None, sessions: Vec::new() }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(super) fn sql(mut self, sql: impl Into<String>) -> Self {
        self.sql = Some(sql.into());
        self
    }

    /// Says how to end the session that it is about, or why not to.
    pub(super) fn ends(self, session: &SessionSeen, remedy: &str, spared: &BTreeSet<i32>) -> Self {
        match session {
            _ if session.waits_for_standby() => self.remedy(WAITS_FOR_STANDBY),
            _ if spared.contains(&session.pid) => self.remedy(BEHIND_STANDBY),
            _ if session.is_hidden() => self.remedy(HIDDEN),
            _ => self.remedy(remedy).sql(session.end()),
        }
    }

    pub(super) fn sessions(mut self, sessions: Vec<SessionSeen>) -> Self {
        self.sessions = sessions;
        self
    }
}

/// What could not be seen, or not all of it.
#[derive(Debug, Clone, Serialize)]
pub struct NotLooked {
    /// What was looked for.
    pub id: Check,
    /// Why it is not known.
    pub because: String,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// The result of a look at a database. `Display` is the text for people; it serialises as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst finding, if there is any.
    pub worst: Option<Severity>,
    /// By the database's clock.
    pub looked_at: String,
    /// The database.
    pub database: String,
    /// The role that looked.
    pub role: String,
    /// `server_version` of PostgreSQL.
    pub postgres: String,
    /// Why the look ended before all was asked, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// What hurts, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be seen: neither found nor healthy.
    pub not_looked_at: Vec<NotLooked>,
    /// What was looked for and not found.
    pub healthy: Vec<Check>,
}

impl Report {
    /// The findings of one check.
    pub fn of(&self, check: Check) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.id == check)
    }
}
