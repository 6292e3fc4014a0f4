//! Time-outs that somebody has set, and those of the servers.

use super::check::Check;
use super::durability::FOR_SERVERS;
use super::patient::Patient;
use super::quote::quoted;
use super::report::{Finding, Severity};
use std::time::Duration;
use tokio_postgres::types::Type;

const NAMES: [&str; 7] = [
    "deadlock_timeout",
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
];

pub(super) async fn look(patient: &mut Patient<'_>, statement: Duration, lock: Duration) {
    let checks = [Check::SessionTimeouts, Check::TransactionsUnbounded, Check::NotPrimary];
    let names = &NAMES[..];
    let rows = patient.ask_with(&checks, FOR_SERVERS, &[(&names as _, Type::TEXT_ARRAY)]).await;
    let mut bounded = None;
    for row in rows.unwrap_or_default() {
        let set = Set { name: row.get(0), role: row.get(1), value: row.get(2), place: row.get(3) };
        if set.name == "default_transaction_read_only" {
            if set.value == "on" {
                patient.add(read_only(&set, &patient.about.database));
            }
            continue;
        }
        if set.name == "idle_in_transaction_session_timeout" && set.place == "server" {
            bounded = Some(set.milliseconds().is_some_and(|time| time > 0.0));
        }
        if let Some((severity, why)) = set.contradiction(statement, lock) {
            let finding = Finding::new(Check::SessionTimeouts, severity, set.to_string());
            patient.add(finding.remedy(why).sql(set.reset(&patient.about.database)));
        }
    }
    if bounded == Some(false) {
        let evidence = "idle_in_transaction_session_timeout = 0";
        let finding = Finding::new(Check::TransactionsUnbounded, Severity::Notice, evidence).remedy(
            "One forgotten terminal keeps its locks, and dead rows, until somebody ends it. Giro's sessions \
             have a bound of 5 s of their own; give one to all others.",
        );
        patient.add(finding.sql(
            "ALTER SYSTEM SET idle_in_transaction_session_timeout = '60s'; SELECT pg_reload_conf();",
        ));
    }
}

fn read_only(set: &Set, database: &str) -> Finding {
    Finding::new(Check::NotPrimary, Severity::Critical, set.to_string())
        .remedy("Somebody has made it read only, for a move or because the disk was full: take it back.")
        .sql(set.reset(database))
}

/// A setting as a session of a role has it.
struct Set {
    name: String,
    role: String,
    value: String,
    /// `role`, `database` or `server`.
    place: String,
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
        let here = self.place != "server";
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

    fn reset(&self, database: &str) -> String {
        let (name, role, database) = (&self.name, quoted(&self.role), quoted(database));
        match self.place.as_str() {
            "role" => format!(
                "ALTER ROLE {role} RESET {name}; ALTER ROLE {role} IN DATABASE {database} RESET {name};"
            ),
            "database" => format!("ALTER DATABASE {database} RESET {name};"),
            _ if name == "idle_session_timeout" => format!("ALTER ROLE {role} SET {name} = 0;"),
            _ => format!("ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();"),
        }
    }
}

const OVERRIDDEN: &str = "It is shorter than the servers' own, and does not bind them: they set theirs when they \
                          connect. It binds whoever calls the functions directly with that role.";

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, role, value, place } = self;
        let unit = if value.ends_with(|c: char| c.is_ascii_digit()) { " ms" } else { "" };
        write!(f, "{name} = {value}{unit} for {role}, set for the {place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str, place: &str) -> Set {
        Set { name: name.into(), role: "giro_app".into(), value: value.into(), place: place.into() }
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
            assert_eq!(set("x", text, "role").milliseconds(), expected, "{text}");
        }
    }

    #[test]
    fn a_time_out_contradicts_when_it_comes_before_the_servers_own() {
        let found = |name, value, place| {
            let second = Duration::from_secs(1);
            set(name, value, place).contradiction(2 * second, second).map(|(severity, _)| severity)
        };
        // PostgreSQL 17 and later.
        assert_eq!(found("transaction_timeout", "2s", "server"), Some(Severity::Warning));
        assert_eq!(found("transaction_timeout", "0", "server"), None);
        assert_eq!(found("transaction_timeout", "1min", "role"), None);
        assert_eq!(found("idle_session_timeout", "10min", "database"), Some(Severity::Warning));
        assert_eq!(found("deadlock_timeout", "1s", "server"), None);
        assert_eq!(found("deadlock_timeout", "5s", "server"), Some(Severity::Notice));
        assert_eq!(found("statement_timeout", "1s", "role"), Some(Severity::Notice));
        assert_eq!(found("statement_timeout", "1s", "server"), None);
        assert_eq!(found("lock_timeout", "5s", "role"), None);
    }
}
