//! What `giro doctor` sees in a database, and what it advises.
//!
//! Each question is one short read-only transaction with a time-out, which needs nothing of the session
//! but itself: it works behind a pooler, and waits for nobody. What the role may not see is reported as not
//! looked at, and not as healthy.
//!
//! | file | holds |
//! | --- | --- |
//! | `check`, `report`, `text` | what is looked for, what was found, and how a person reads it |
//! | `limits` | from where on something is said, and where the number comes from |
//! | `patient` | how a question is asked |
//! | `quote` | names and texts of others, as SQL and as a terminal may have them |
//! | `sessions` | a session as others see it |
//! | `settings` | a setting as the servers' sessions have it |
//! | `locks`, `waits`, `snapshots` | who waits for whom, what does not end, what stays open |
//! | `durability`, `wal` | what survives a crash, what fills the disk |
//! | `tables`, `wraparound` | what grows, what runs out |
//! | `indexes`, `objects`, `rights` | what is in the schema, and who may do what |
//! | `connections`, `timeouts` | the way to the database |
//! | `work` | what the ledger itself shows |

mod check;
mod connections;
mod durability;
mod indexes;
mod limits;
mod locks;
mod objects;
mod patient;
mod quote;
mod report;
mod rights;
mod sessions;
mod settings;
mod snapshots;
mod tables;
mod text;
mod timeouts;
mod waits;
mod wal;
mod work;
mod wraparound;

use crate::{ConnectError, Connector};
use patient::{Patient, Unanswered};
use std::time::Instant;

pub use check::Check;
pub use limits::{Limits, Wanted};
pub use report::{Finding, NotLooked, Report, Severity};
pub use sessions::SessionSeen;

/// Why a database could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// There is no session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not answer the first question.
    #[error("{0}")]
    Unanswered(String),
}

/// What there is nothing to look at for without the schema.
const OF_SCHEMA: &[Check] = &[
    Check::GrantMissing,
    Check::GrantExtra,
    Check::AppendOnlyOff,
    Check::IndexMissing,
    Check::IndexExtra,
    Check::TriggerExtra,
    Check::ConstraintExtra,
    Check::TableSettings,
    Check::HotShare,
    Check::DeadRows,
    Check::Bloat,
    Check::NeverAnalyzed,
    Check::SequenceUsed,
    Check::HoldsOverdue,
    Check::HotAccount,
];

/// What its sessions are called.
const NAME: &str = "giro doctor";

/// Looks at the database that a server with this connector and these wishes would use. Changes nothing.
///
/// # Errors
///
/// [`DoctorError`] if there is no session, or no answer at all.
pub async fn doctor(
    connector: &Connector,
    wanted: &Wanted,
    limits: &Limits,
) -> Result<Report, DoctorError> {
    let began = Instant::now();
    let (statement, lock) = connector.session_timeouts();
    let signs = connections::pooler_signs(connector, NAME).await;
    let session = connector.examine(NAME, true).await?;
    let unanswered = |error: Unanswered| DoctorError::Unanswered(error.to_string());
    let mut patient = Patient::meet(&session, limits, wanted).await.map_err(unanswered)?;
    locks::look(&mut patient).await;
    waits::look(&mut patient, statement).await;
    snapshots::look(&mut patient).await;
    connections::look(&mut patient, connector, signs).await;
    durability::look(&mut patient).await;
    recovery(&mut patient, connector.wants_standby());
    rights::look(&mut patient).await;
    timeouts::look(&mut patient, statement, lock).await;
    match patient.about.has_schema {
        true => {
            indexes::look(&mut patient).await;
            objects::look(&mut patient).await;
            tables::look(&mut patient).await;
        }
        false => patient.skip(OF_SCHEMA, "the database has no giro schema", None),
    }
    wraparound::look(&mut patient).await;
    wal::look(&mut patient).await;
    work::look(&mut patient).await;
    Ok(into_report(patient, began))
}

fn recovery(patient: &mut Patient<'_>, wanted: bool) {
    if !patient.about.in_recovery {
        return;
    }
    let severity = if wanted { Severity::Notice } else { Severity::Critical };
    let finding = Finding::new(Check::NotPrimary, severity, "the database is in recovery").remedy(
        "No host of the URL takes writes: promote a standby when the primary is dead, or mend the URL. \
         Replication, WAL and sessions are those of this standby; look at the primary as well.",
    );
    patient.add(finding.sql("SELECT pg_is_in_recovery(); -- to promote: SELECT pg_promote();"));
}

fn into_report(patient: Patient<'_>, began: Instant) -> Report {
    let Patient { about, mut findings, not_looked_at, lost, .. } = patient;
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.id));
    let is_known = |check: &&Check| {
        !findings.iter().any(|finding| finding.id == **check)
            && !not_looked_at.iter().any(|note| note.id == **check)
    };
    let healthy: Vec<_> = Check::ALL.iter().filter(is_known).copied().collect();
    let saw_nothing = findings.is_empty() && healthy.is_empty();
    Report {
        worst: findings.first().map(|finding| finding.severity),
        looked_at: about.looked_at,
        database: about.database,
        role: about.role,
        postgres: about.postgres,
        lost: lost.or(saw_nothing.then(|| "no question was answered".into())),
        seconds: began.elapsed().as_secs_f64(),
        findings,
        not_looked_at,
        healthy,
    }
}
