//! The way to the database: how many may come, what is between, whether clocks agree.

use super::check::Check;
use super::patient::Patient;
use super::quote::quoted;
use super::report::{Finding, Severity};
use crate::connect::{ConnectError, Connector, Session};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// As often as is asked whether it is still the same process.
const ROUNDS: usize = 4;

const WHO: &str = "
SELECT pg_backend_pid(), current_setting('application_name'),
       (1000 * extract(epoch FROM current_setting('statement_timeout')::interval))::bigint,
       (1000 * extract(epoch FROM current_setting('lock_timeout')::interval))::bigint";

/// As the servers' gauge counts them: of another role's session an ordinary role sees database and role.
const CONNECTIONS: &str = "
SELECT count(*) FILTER (WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL
                          AND coalesce(a.backend_type, 'client backend') = 'client backend'),
       count(*) FILTER (WHERE a.datname = current_database() AND a.application_name = 'giro accounts'),
       current_setting('max_connections')::bigint
       - current_setting('superuser_reserved_connections')::bigint
       - coalesce(current_setting('reserved_connections', true)::bigint, 0),
       current_setting('max_connections')::bigint
  FROM pg_stat_activity a";

const STANDBYS_FIRST: &str =
    "-- On every standby first, each restarted, and only then on the primary:";

const CONNECTION_LIMITS: &str = "
SELECT 'DATABASE', datname::text, datconnlimit::bigint FROM pg_database
 WHERE datname = current_database() AND datconnlimit >= 0
UNION ALL
SELECT 'ROLE', r.rolname::text, r.rolconnlimit::bigint FROM pg_roles r
 WHERE r.rolcanlogin AND r.rolconnlimit >= 0 AND NOT r.rolsuper
   AND EXISTS (SELECT FROM pg_roles g
                WHERE g.rolname = 'giro_server' AND pg_has_role(r.oid, g.oid, 'MEMBER'))";

const ADDRESSES: &str = "
SELECT a.pid, coalesce(nullif(a.application_name, ''), '?'), host(a.client_addr), host(inet_server_addr())
  FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)
 WHERE (a.application_name LIKE 'giro%' OR a.pid = pg_backend_pid()) AND a.datname = current_database()
   AND a.client_addr IS NOT NULL AND NOT s.ssl LIMIT 200";

/// What shows that the sessions of a server would not be their own, or not as they are asked for; or why
/// that is not known.
pub(super) async fn pooler_signs(
    connector: &Connector,
    name: &str,
) -> Result<Vec<String>, ConnectError> {
    let session = match connector.examine(name, false).await {
        Ok(session) => session,
        Err(error) if refuses_parameters(&error) => {
            return Ok(vec![format!("the settings of a server's session are refused: {error}")]);
        }
        Err(error) => return Err(error),
    };
    let (statement, lock) = connector.session_timeouts();
    let mut signs = BTreeSet::new();
    let mut pids = BTreeSet::new();
    for _ in 0..ROUNDS {
        let asked = timeout(statement.max(Duration::from_secs(1)), ask_who(&session)).await;
        let Ok(Ok((pid, found_name, found_statement, found_lock))) = asked else { break };
        pids.insert(pid);
        if found_name != name {
            signs.insert(format!("application_name is {found_name:?} instead of {name:?}"));
        }
        for (setting, found, asked) in
            [("statement_timeout", found_statement, statement), ("lock_timeout", found_lock, lock)]
        {
            if found != asked.as_millis() as i64 {
                let asked = asked.as_millis();
                signs.insert(format!("{setting} is {found} ms instead of {asked} ms"));
            }
        }
    }
    if pids.len() > 1 {
        let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
        signs.insert(format!("one session met several backends: {}", pids.join(", ")));
    }
    Ok(signs.into_iter().collect())
}

async fn ask_who(session: &Session) -> Result<(i32, String, i64, i64), tokio_postgres::Error> {
    let rows = session.client.query_typed(WHO, &[]).await?;
    let row = rows.first().expect("a SELECT without FROM has one row");
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
}

/// PgBouncer's words, and SQLSTATE, for an option that it does not pass on.
fn refuses_parameters(error: &ConnectError) -> bool {
    match error {
        ConnectError::Postgres(error) => error.as_db_error().is_some_and(|word| {
            word.code().code() == "08P01" && word.message().contains("startup parameter")
        }),
        ConnectError::Hosts(hosts) => hosts.iter().any(|(_, error)| refuses_parameters(error)),
        _ => false,
    }
}

pub(super) async fn look(
    patient: &mut Patient<'_>,
    connector: &Connector,
    signs: Result<Vec<String>, ConnectError>,
) {
    let signs = signs.unwrap_or_else(|error| {
        patient.skip(&[Check::Pooler], format!("no session as a server has it: {error}"), None);
        Vec::new()
    });
    if !signs.is_empty() {
        let finding = Finding::new(Check::Pooler, Severity::Critical, signs.join("; ")).remedy(
            "Connect directly. A lane owns its session; behind a pooler its time-outs and its place in the \
             order of replies are not its own, and Giro refuses to serve. Giro needs few connections, and \
             reduces them as a pooler would.",
        );
        patient
            .add(finding.sql("SELECT inet_server_addr(), inet_server_port(), pg_backend_pid();"));
    }
    count(patient).await;
    limits(patient).await;
    addresses(patient, connector).await;
    clock(patient).await;
}

async fn count(patient: &mut Patient<'_>) {
    for row in patient.ask(&[Check::Connections], CONNECTIONS).await.unwrap_or_default() {
        let (used, seen): (i64, i64) = (row.get(0), row.get(1));
        let (available, max): (i64, i64) = (row.get(2), row.get(3));
        let raise =
            format!("ALTER SYSTEM SET max_connections = {}; -- then restart PostgreSQL", max * 2);
        let list = "SELECT usename, application_name, count(*) FROM pg_stat_activity \
                    GROUP BY 1, 2 ORDER BY 3 DESC;";
        if used as f64 >= available as f64 * patient.limits.connections_share {
            let full = used >= available;
            let severity = if full { Severity::Critical } else { Severity::Warning };
            let evidence = format!("{used} of {available} connections for ordinary roles are used");
            let finding = Finding::new(Check::Connections, severity, evidence).remedy(
                "See whose they are, and make those fewer; a server that loses a session may not get it back. \
                 Then raise max_connections, on every standby before the primary: a standby that has less \
                 than its primary stops replaying.",
            );
            patient.add(finding.sql(format!("{list}\n{STANDBYS_FIRST}\n-- {raise}")));
        }
        let servers = patient.wanted.servers.map_or(seen.max(1), i64::from);
        let (each, all) = (patient.wanted.sessions(), servers * patient.wanted.sessions());
        if all <= available {
            continue;
        }
        let severity = if each > available { Severity::Critical } else { Severity::Warning };
        let evidence = format!(
            "{servers} server(s) of database.lanes + database.read_sessions + 2 = {each} need {all}; \
             {available} are there for ordinary roles"
        );
        let finding = Finding::new(Check::Connections, severity, evidence).remedy(
            "Have fewer lanes or read_sessions, one lane is mostly best; or raise max_connections, on every \
             standby before the primary: a standby that has less than its primary stops replaying.",
        );
        patient.add(finding.sql(format!("{STANDBYS_FIRST}\n{raise}")));
    }
}

async fn limits(patient: &mut Patient<'_>) {
    let each = patient.wanted.sessions();
    for row in patient.ask(&[Check::Connections], CONNECTION_LIMITS).await.unwrap_or_default() {
        let (kind, name, limit): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
        let needed = each * i64::from(patient.wanted.servers.unwrap_or(1));
        if limit >= needed {
            continue;
        }
        let evidence = format!("the limit of {kind} {name} is {limit}, and servers need {needed}");
        let finding = Finding::new(Check::Connections, Severity::Critical, evidence)
            .remedy("Raise the limit, or take it away: further sessions are refused (53300).");
        let name = quoted(&name);
        patient.add(finding.sql(format!("ALTER {kind} {name} CONNECTION LIMIT -1;")));
    }
}

async fn addresses(patient: &mut Patient<'_>, connector: &Connector) {
    let port = "SELECT inet_server_port()";
    let rows = patient.ask(&[Check::AddressDiffers], port).await.unwrap_or_default();
    let port: Option<i32> = rows.first().and_then(|row| row.get(0));
    if let (Some(found), Some(asked)) = (port, connector.only_port())
        && found != i32::from(asked)
    {
        let evidence = format!("the URL says port {asked}, PostgreSQL has port {found}");
        let finding = Finding::new(Check::AddressDiffers, Severity::Notice, evidence).remedy(
            "Something forwards: a container's port, a balancer, a proxy. That is well as long as it passes \
             bytes on and knows nothing of PostgreSQL; see `pooler`.",
        );
        patient
            .add(finding.sql("SELECT inet_client_addr(), inet_server_addr(), inet_server_port();"));
    }
    let mut plain = Vec::new();
    for row in patient.ask(&[Check::Plaintext], ADDRESSES).await.unwrap_or_default() {
        let client = row.get::<_, Option<&str>>(2).and_then(|text| text.parse().ok());
        let server = row.get::<_, Option<&str>>(3).and_then(|text| text.parse().ok());
        if client.is_some_and(|client| is_elsewhere(client, server)) {
            let (pid, name): (i32, &str) = (row.get(0), row.get(1));
            plain.push(format!("{name} (pid {pid}) from {}", row.get::<_, &str>(2)));
        }
    }
    if let Some(first) = plain.first() {
        let evidence = format!("{} session(s) without TLS, as {first}", plain.len());
        let finding = Finding::new(Check::Plaintext, Severity::Warning, evidence).remedy(
            "Passwords and transfers can be read, and altered, on the way: sslmode=verify-full with \
             sslrootcert in the URL, and ssl = on in PostgreSQL.",
        );
        patient.add(finding.sql(
            "SELECT a.pid, a.application_name, a.client_addr, s.ssl FROM pg_stat_activity a \
             JOIN pg_stat_ssl s USING (pid);",
        ));
    }
    patient.skip_other_sessions(&[Check::Plaintext]);
}

/// Whether what goes between the two leaves a machine, as far as addresses tell.
fn is_elsewhere(client: IpAddr, server: Option<IpAddr>) -> bool {
    !client.to_canonical().is_loopback() && Some(client) != server
}

async fn clock(patient: &mut Patient<'_>) {
    let asked = SystemTime::now();
    let now = "SELECT clock_timestamp()";
    let Some(rows) = patient.ask(&[Check::ClockDiffers], now).await else { return };
    let answered = SystemTime::now();
    let Some(database) = rows.first().map(|row| row.get::<_, SystemTime>(0)) else { return };
    let (seconds, limits) = (ahead(database, asked, answered), patient.limits);
    let severity = match seconds.abs() {
        far if far >= limits.clock_warning.as_secs_f64() => Severity::Warning,
        far if far >= limits.clock.as_secs_f64() => Severity::Notice,
        _ => return,
    };
    let direction = if seconds > 0.0 { "ahead of" } else { "behind" };
    let evidence =
        format!("the database's clock is {:.1} s {direction} this machine's", seconds.abs());
    let finding = Finding::new(Check::ClockDiffers, severity, evidence).remedy(
        "Times of transfers, and deadlines of holds, are the database's; logs and certificates go by this \
         machine's. Nothing is applied late or twice for it, but a clock that jumps refuses batches (GR001). \
         Let both follow NTP.",
    );
    patient.add(finding.sql("SELECT clock_timestamp(); -- and `date` on both machines"));
}

/// By how many seconds, at least, the database's clock is ahead of this one's: it was read at some
/// moment between question and answer.
fn ahead(database: SystemTime, asked: SystemTime, answered: SystemTime) -> f64 {
    let seconds = |later: SystemTime, earlier| match later.duration_since(earlier) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    let (after, before) = (seconds(database, answered), seconds(database, asked));
    if after > 0.0 { after } else { before.min(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_differs_by_what_the_round_trip_does_not_explain() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + seconds);
        for (database, asked, answered, expected) in
            [(5, 4, 6, 0.0), (4, 4, 6, 0.0), (9, 4, 6, 3.0), (1, 4, 6, -3.0)]
        {
            assert_eq!(ahead(at(database), at(asked), at(answered)), expected);
        }
    }

    #[test]
    fn a_session_leaves_the_machine_unless_both_ends_have_one_address() {
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let loopback = "127.0.0.1".parse().unwrap();
        assert!(is_elsewhere(there, Some(here)) && is_elsewhere(there, None));
        assert!(!is_elsewhere(here, Some(here)) && !is_elsewhere(loopback, None));
    }
}
