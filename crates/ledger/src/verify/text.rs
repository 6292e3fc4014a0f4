//! The report for people.

use super::report::{CheckReport, Finding, Report};
use std::fmt::{self, Display, Formatter};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { snapshot_at, postgres, schema_version, seconds, .. } = self;
        writeln!(f, "the ledger as of {snapshot_at}, in {seconds:.1} s")?;
        writeln!(f, "PostgreSQL {postgres}, schema version {schema_version}")?;
        writeln!(f)?;
        for pass in &self.passes {
            writeln!(f, "{:<9} {:>12} rows {:>8.1} s", pass.name, pass.rows, pass.seconds)?;
        }
        writeln!(f)?;
        for check in &self.checks {
            let result = match check.findings {
                0 => "sound".into(),
                1 => "1 FINDING".into(),
                findings => format!("{findings} FINDINGS"),
            };
            let CheckReport { name, looked_at, of, .. } = check;
            writeln!(f, "{:<26} {looked_at:>12} {of:<13} {result}", name.name())?;
        }
        for check in self.checks.iter().filter(|check| check.findings > 0) {
            writeln!(f, "\n{}: {}", check.name.name(), check.meaning)?;
            for finding in &check.shown {
                writeln!(f, "  {finding}")?;
            }
            let more = check.findings - check.shown.len() as u64;
            if more > 0 {
                writeln!(f, "  and {more} more")?;
            }
        }
        Ok(())
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut place = |name: &str, value: Option<&dyn Display>| match value {
            Some(value) => write!(f, "{name} {value} "),
            None => Ok(()),
        };
        place("ledger", self.ledger.as_ref().map(|x| x as _))?;
        place("account", self.account.as_ref().map(|x| x as _))?;
        place("transfer", self.transfer.as_ref().map(|x| x as _))?;
        place("hold", self.hold.as_ref().map(|x| x as _))?;
        place("seq", self.seq.as_ref().map(|x| x as _))?;
        place("batch", self.batch.as_ref().map(|x| x as _))?;
        write!(f, "- {}", self.what)?;
        match (&self.expected, &self.found) {
            (None, None) => Ok(()),
            (Some(expected), None) => write!(f, ": expected {expected}"),
            (None, Some(found)) => write!(f, ": found {found}"),
            (Some(expected), Some(found)) => write!(f, ": expected {expected}, found {found}"),
        }
    }
}
