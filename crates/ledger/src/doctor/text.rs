//! The report for people: first a line for each finding, then what to do about it.

use super::quote::Shown;
use super::report::{Finding, Report, Severity};
use super::sessions::SessionSeen;
use std::fmt::{self, Display, Formatter};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { database, role, postgres, looked_at, seconds, .. } = self;
        let [database, role, postgres] = [database, role, postgres].map(Shown);
        writeln!(f, "database {database} on PostgreSQL {postgres}, seen by {role}")?;
        writeln!(f, "at {looked_at}, in {seconds:.1} s")?;
        let count = |severity| self.findings.iter().filter(|it| it.severity == severity).count();
        writeln!(
            f,
            "{} critical, {} warning, {} notice; {} healthy, {} not looked at",
            count(Severity::Critical),
            count(Severity::Warning),
            count(Severity::Notice),
            self.healthy.len(),
            self.not_looked_at.len(),
        )?;
        if let Some(lost) = &self.lost {
            writeln!(f, "the look ended early: {}", Shown(lost))?;
        }
        if !self.findings.is_empty() {
            writeln!(f)?;
        }
        for finding in &self.findings {
            let (name, evidence) = (finding.id.name(), Shown(&finding.evidence));
            writeln!(f, "{:<8} {name:<22} {evidence}", label(finding.severity))?;
        }
        for finding in &self.findings {
            write!(f, "\n{finding}")?;
        }
        if !self.not_looked_at.is_empty() {
            writeln!(f, "\nnot looked at, or not at all of it:")?;
        }
        for note in &self.not_looked_at {
            writeln!(f, "  {:<22} because {}", note.id.name(), Shown(&note.because))?;
        }
        let mut help: Vec<_> =
            self.not_looked_at.iter().filter_map(|note| note.sql.as_deref()).collect();
        help.sort_unstable();
        help.dedup();
        if help.iter().any(|sql| sql.starts_with("GRANT pg_")) {
            writeln!(
                f,
                "  would help: --database-url with a role that is a member of pg_monitor; or else"
            )?;
        }
        for sql in help {
            writeln!(f, "  would help: {}", Shown(sql))?;
        }
        Ok(())
    }
}

fn label(severity: Severity) -> String {
    match severity {
        Severity::Notice => severity.name().into(),
        _ => severity.name().to_uppercase(),
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", label(self.severity), self.id.name(), self.id.meaning())?;
        lines(f, "seen", &self.evidence)?;
        for session in self.sessions.iter().filter(|_| self.sessions.len() > 1) {
            branch(f, session)?;
        }
        lines(f, "remedy", &self.remedy)?;
        if let Some(sql) = &self.sql {
            // Not folded: to be pasted.
            for line in sql.lines() {
                writeln!(f, "    {}", Shown(line))?;
            }
        }
        Ok(())
    }
}

/// A session of the tree, further in the further it is from whom all wait for.
fn branch(f: &mut Formatter<'_>, session: &SessionSeen) -> fmt::Result {
    let depth = session.depth.unwrap_or_default();
    let twig = if depth > 0 { "└ " } else { "" };
    writeln!(f, "    {:indent$}{twig}{}", "", Shown(session), indent = 2 * depth.saturating_sub(1))
}

const WIDTH: usize = 100;

/// Folds a text at blanks, under a name.
fn lines(f: &mut Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    write!(f, "  {name:<6}")?;
    let mut column = 8;
    for word in text.split_whitespace() {
        let length = word.chars().count() + 1;
        if column + length > WIDTH && column > 8 {
            write!(f, "\n{:8}", "")?;
            column = 8;
        }
        write!(f, " {}", Shown(word))?;
        column += length;
    }
    writeln!(f)
}
