//! Time-outs that somebody has set, and those of the servers.

use super::check::Check;
use super::patient::Patient;
use super::quote::quoted;
use super::report::{Finding, Severity};
use super::settings::{self, Place, Set, Whose};
use std::time::Duration;

/// The checks that go by the server's value of each.
const NAMES: [(&str, &[Check]); 6] = [
    ("deadlock_timeout", &[Check::SessionTimeouts]),
    ("default_transaction_read_only", &[Check::NotPrimary]),
    ("idle_session_timeout", &[Check::SessionTimeouts]),
    ("lock_timeout", &[]),
    ("statement_timeout", &[]),
    ("transaction_timeout", &[Check::SessionTimeouts]),
];
const UNBOUNDED: &str = "idle_in_transaction_session_timeout";

pub(super) async fn look(patient: &mut Patient<'_>, statement: Duration, lock: Duration) {
    for set in settings::read(patient, Whose::Servers, &NAMES).await {
        if set.name == "default_transaction_read_only" {
            if set.is_on() {
                patient.add(read_only(&set, &patient.about.database));
            }
            continue;
        }
        if let Some((severity, why)) = set.contradiction(statement, lock) {
            let sql = match (&set.role, set.place) {
                (Some(role), Place::Server) if set.name == "idle_session_timeout" => {
                    format!("ALTER ROLE {} SET idle_session_timeout = 0;", quoted(role))
                }
                _ => set.reset(&patient.about.database),
            };
            let finding = Finding::new(Check::SessionTimeouts, severity, set.to_string());
            patient.add(finding.remedy(why).sql(sql));
        }
    }
    let names = [(UNBOUNDED, &[Check::TransactionsUnbounded][..])];
    for set in settings::read(patient, Whose::EveryRole, &names).await {
        if set.milliseconds().is_some_and(|time| time > 0.0) {
            continue;
        }
        let finding = Finding::new(Check::TransactionsUnbounded, Severity::Notice, set.to_string());
        let finding = finding.remedy(
            "One forgotten terminal keeps its locks, and dead rows, until somebody ends it. Giro's sessions \
             have a bound of 5 s of their own; give one to all others.",
        );
        let bound = format!("ALTER SYSTEM SET {UNBOUNDED} = '60s'; SELECT pg_reload_conf();");
        patient.add(finding.sql(match set.place {
            Place::Server => bound,
            _ => format!("{}\n{bound}", set.reset(&patient.about.database)),
        }));
    }
}

fn read_only(set: &Set, database: &str) -> Finding {
    Finding::new(Check::NotPrimary, Severity::Critical, set.to_string())
        .remedy("Somebody has made it read only, for a move or because the disk was full: take it back.")
        .sql(set.reset(database))
}

impl Set {
    /// PostgreSQL's notation; without a unit they are milliseconds.
    fn milliseconds(&self) -> Option<f64> {
        let text = self.value.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim() {
            "us" => 0.001,
            "" | "ms" => 1.0,
            "s" => 1000.0,
            "min" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        Some(number.parse::<f64>().ok()? * unit)
    }

    fn contradiction(
        &self,
        statement: Duration,
        lock: Duration,
    ) -> Option<(Severity, &'static str)> {
        let time = self.milliseconds()?;
        let below = |bound: Duration| time > 0.0 && time < bound.as_secs_f64() * 1000.0;
        let here = self.place != Place::Server;
        match self.name.as_str() {
            "idle_session_timeout" if time > 0.0 => Some((
                Severity::Warning,
                "It ends lanes and readers that have nothing to do. They are opened again, but until then the \
                 server is not ready, and the next request waits. Except the servers' role from it.",
            )),
            "transaction_timeout" if below(statement + Duration::from_secs(1)) => Some((
                Severity::Warning,
                "It ends the session where statement_timeout would only end the statement, so that its \
                 result is unknown rather than rolled back. Make it longer than database.statement_timeout.",
            )),
            "deadlock_timeout" if time > lock.as_secs_f64() * 1000.0 => Some((
                Severity::Notice,
                "database.lock_timeout comes first: who waits in a circle is told 55P03 rather than 40P01, and \
                 log_lock_waits logs nothing of Giro.",
            )),
            "statement_timeout" if here && below(statement) => Some((Severity::Notice, OVERRIDDEN)),
            "lock_timeout" if here && below(lock) => Some((Severity::Notice, OVERRIDDEN)),
            _ => None,
        }
    }
}

const OVERRIDDEN: &str = "It is shorter than the servers' own, and does not bind them: they set theirs when they \
                          connect. It binds whoever calls the functions directly with that role.";

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str, place: Place) -> Set {
        let role = Some("giro_app".into());
        Set { name: name.into(), role, value: value.into(), place }
    }

    #[test]
    fn a_time_is_read_as_postgresql_does() {
        for (text, expected) in [
            ("5000", Some(5000.0)),
            ("5s", Some(5000.0)),
            ("1.5 min", Some(90_000.0)),
            ("2h", Some(7_200_000.0)),
            ("500us", Some(0.5)),
            ("off", None),
        ] {
            assert_eq!(set("x", text, Place::Role).milliseconds(), expected, "{text}");
        }
    }

    #[test]
    fn a_time_out_contradicts_when_it_comes_before_the_servers_own() {
        let found = |name, value, place| {
            let second = Duration::from_secs(1);
            set(name, value, place).contradiction(2 * second, second).map(|(severity, _)| severity)
        };
        // PostgreSQL 17 and later.
        assert_eq!(found("transaction_timeout", "2s", Place::Server), Some(Severity::Warning));
        assert_eq!(found("transaction_timeout", "0", Place::Server), None);
        assert_eq!(found("transaction_timeout", "1min", Place::Role), None);
        assert_eq!(
            found("idle_session_timeout", "10min", Place::Database),
            Some(Severity::Warning)
        );
        assert_eq!(found("deadlock_timeout", "1s", Place::Server), None);
        assert_eq!(found("deadlock_timeout", "5s", Place::Server), Some(Severity::Notice));
        assert_eq!(found("statement_timeout", "1s", Place::Role), Some(Severity::Notice));
        assert_eq!(found("statement_timeout", "1s", Place::Server), None);
        assert_eq!(found("lock_timeout", "5s", Place::Role), None);
    }
}
