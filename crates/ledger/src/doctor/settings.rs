//! Settings as the servers' sessions have them, whatever the session that looks has.

use super::check::Check;
use super::patient::Patient;
use super::quote::quoted;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// For each role of the servers, and for whoever has none of his own: the value that is set for the role, the
/// database or all, in PostgreSQL's order, else the server's. `pg_settings` shows the latter only where
/// nothing that belongs to this session is before it.
///
/// The servers' roles are the members of `giro_server`, and those that are there as a lane.
const SQL: &str = "
SELECT s.name, r.rolname,
       coalesce(own.value, CASE WHEN s.source IN ('default', 'environment variable', 'configuration file',
                                                  'command line', 'override')
                                THEN s.reset_val END),
       own.role IS NOT NULL, coalesce(own.of_role, false), coalesce(own.of_database, false),
       s.source
  FROM pg_settings s
 CROSS JOIN (SELECT 0::oid AS oid, NULL AS rolname
             UNION ALL
             SELECT r.oid, r.rolname::text FROM pg_roles r
              WHERE r.rolcanlogin
                AND (NOT r.rolsuper AND EXISTS (
                         SELECT FROM pg_roles g
                          WHERE g.rolname = 'giro_server' AND pg_has_role(r.oid, g.oid, 'MEMBER'))
                     OR EXISTS (
                         SELECT FROM pg_stat_activity a
                          WHERE a.usesysid = r.oid AND a.datname = current_database()
                            AND a.application_name LIKE 'giro lane%'))) AS r
  LEFT JOIN LATERAL (
       SELECT substr(c.entry, strpos(c.entry, '=') + 1) AS value, d.setrole AS role,
              d.setrole <> 0 AS of_role, d.setdatabase <> 0 AS of_database
         FROM pg_db_role_setting d CROSS JOIN unnest(d.setconfig) AS c (entry)
        WHERE d.setrole IN (0, r.oid)
          AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND split_part(c.entry, '=', 1) = s.name
        ORDER BY d.setrole <> 0 DESC, d.setdatabase <> 0 DESC LIMIT 1) AS own ON true
 WHERE s.name = ANY ($1)
 ORDER BY s.name, r.rolname LIMIT 200";

/// What a setting was set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    RoleInDatabase,
    Role,
    Database,
    All,
    Server,
}

/// A setting as a session of a role has it.
pub(super) struct Set {
    pub(super) name: String,
    /// Nothing for every role.
    pub(super) role: Option<String>,
    pub(super) value: String,
    pub(super) place: Place,
}

impl Set {
    /// It stands as it was written, in any of PostgreSQL's notations.
    pub(super) fn is_on(&self) -> bool {
        let value = self.value.to_ascii_lowercase();
        !value.is_empty()
            && (["on", "1"].contains(&&*value)
                || ["true", "yes"].iter().any(|word| word.starts_with(&value)))
    }

    pub(super) fn is_off(&self) -> bool {
        let value = self.value.to_ascii_lowercase();
        !value.is_empty()
            && (["off", "of", "0"].contains(&&*value)
                || ["false", "no"].iter().any(|word| word.starts_with(&value)))
    }

    /// Takes it back.
    pub(super) fn reset(&self, database: &str) -> String {
        let (name, database) = (&self.name, quoted(database));
        let role = self.role.as_deref().map_or_else(|| "ALL".into(), quoted);
        match self.place {
            Place::RoleInDatabase => {
                format!("ALTER ROLE {role} IN DATABASE {database} RESET {name};")
            }
            Place::Role => format!("ALTER ROLE {role} RESET {name};"),
            Place::Database => format!("ALTER DATABASE {database} RESET {name};"),
            Place::All => format!("ALTER ROLE ALL RESET {name};"),
            Place::Server => format!("ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();"),
        }
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, role, value, place } = self;
        let is_bare = name.ends_with("_timeout") && value.ends_with(|c: char| c.is_ascii_digit());
        let unit = if is_bare { " ms" } else { "" };
        let role = role.as_deref().unwrap_or("every role");
        let place = match place {
            Place::RoleInDatabase => "the role in this database",
            Place::Role => "the role",
            Place::Database => "the database",
            Place::All => "all roles",
            Place::Server => "the server",
        };
        write!(f, "{name} = {value}{unit} for {role}, set for {place}")
    }
}

/// Who has a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Each role of the servers; every role, where none is known.
    Servers,
    /// Every role, as far as none is set for it alone.
    EveryRole,
}

/// Reads settings. The server's value is hidden where the session that looks has a value of its own: what goes by
/// it, as named beside the setting, is then noted as not looked at.
pub(super) async fn read(
    patient: &mut Patient<'_>,
    whose: Whose,
    names: &[(&str, &[Check])],
) -> Vec<Set> {
    let checks: Vec<Check> = names.iter().flat_map(|(_, checks)| *checks).copied().collect();
    let wanted: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let parameters = [(&wanted as _, Type::TEXT_ARRAY)];
    let rows = patient.ask_with(&checks, SQL, &parameters).await.unwrap_or_default();
    let role = |row: &Row| row.get::<_, Option<String>>(1);
    let of_servers = whose == Whose::Servers && rows.iter().any(|row| role(row).is_some());
    let mut sets = Vec::new();
    for row in rows.iter().filter(|row| role(row).is_some() == of_servers) {
        let name: String = row.get(0);
        let Some(value) = row.get(2) else {
            let checks = names.iter().find(|(known, _)| *known == name).map_or(&[][..], |it| it.1);
            let because = format!(
                "{name} of this session is set for it ({}), which hides what the server has: look with a role \
                 and a URL without",
                row.get::<_, &str>(6)
            );
            patient.skip(checks, because, None);
            continue;
        };
        let place = match (row.get(3), row.get(4), row.get(5)) {
            (false, ..) => Place::Server,
            (true, true, true) => Place::RoleInDatabase,
            (true, true, false) => Place::Role,
            (true, false, true) => Place::Database,
            (true, false, false) => Place::All,
        };
        sets.push(Set { name, role: role(row), value, place });
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_that_has_no_unit_is_shown_with_one() {
        for (name, value, shown) in [
            ("lock_timeout", "500", "lock_timeout = 500 ms"),
            ("lock_timeout", "1min", "lock_timeout = 1min"),
            ("track_counts", "0", "track_counts = 0"),
        ] {
            let set = Set { name: name.into(), role: None, value: value.into(), place: Place::All };
            assert_eq!(set.to_string(), format!("{shown} for every role, set for all roles"));
        }
    }

    #[test]
    fn a_boolean_is_read_as_postgresql_does() {
        for (value, on, off) in [
            ("on", true, false),
            ("TRUE", true, false),
            ("y", true, false),
            ("1", true, false),
            ("off", false, true),
            ("f", false, true),
            ("0", false, true),
            ("local", false, false),
            ("", false, false),
        ] {
            let set = Set { name: "x".into(), role: None, value: value.into(), place: Place::All };
            assert_eq!((set.is_on(), set.is_off()), (on, off), "{value}");
        }
    }
}
