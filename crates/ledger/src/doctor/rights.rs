//! Whether the schema is this program's, and who may do what in it.

use super::check::Check;
use super::patient::Patient;
use super::quote::{quoted, quoted_in};
use super::report::{Finding, NotLooked, Severity};
use crate::schema::{self, SchemaError};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const MIGRATE: &str = "-- Not SQL: DATABASE_URL=<the owner's> giro migrate";

/// As sql/grants.sql has them.
const FUNCTIONS: [&str; 8] = [
    "apply_transfers",
    "create_accounts",
    "expire_holds",
    "settled_seq",
    "seq_at",
    "account_transfers",
    "metadata_matches",
    "flag_names",
];
const VIEWS: [&str; 9] = [
    "accounts",
    "balances",
    "transfers",
    "entries",
    "balance_history",
    "rejections",
    "expired_holds",
    "batch_log",
    "schema_info",
];

const LACKS: &str = "
WITH server AS (SELECT oid FROM pg_roles WHERE rolname = 'giro_server'),
     giro AS (SELECT oid FROM pg_namespace WHERE nspname = 'giro')
SELECT 'ROLE', 'giro_server' WHERE NOT EXISTS (SELECT FROM server)
UNION ALL
SELECT 'USAGE', 'SCHEMA giro' FROM server, giro WHERE NOT has_schema_privilege(server.oid, giro.oid, 'USAGE')
UNION ALL
SELECT 'SELECT', 'giro.' || c.relname
  FROM server, giro, pg_class c
 WHERE c.relnamespace = giro.oid AND c.relname = ANY ($1)
   AND NOT has_table_privilege(server.oid, c.oid, 'SELECT')";

/// A function `p` with its arguments, if others have its name: names of types as SQL has them, or their schemas and
/// names.
const ROUTINE: &str = "
       p.proname::text,
       EXISTS (SELECT FROM pg_proc o
                WHERE o.pronamespace = p.pronamespace AND o.proname = p.proname AND o.oid <> p.oid),
       ARRAY(SELECT CASE n.nspname WHEN 'pg_catalog' THEN format_type(t.oid, NULL) END
               FROM unnest(p.proargtypes) WITH ORDINALITY AS u (oid, place)
               JOIN pg_type t USING (oid) JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY u.place),
       ARRAY(SELECT n.nspname::text
               FROM unnest(p.proargtypes) WITH ORDINALITY AS u (oid, place)
               JOIN pg_type t USING (oid) JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY u.place),
       ARRAY(SELECT t.typname::text
               FROM unnest(p.proargtypes) WITH ORDINALITY AS u (oid, place)
               JOIN pg_type t USING (oid) ORDER BY u.place)";

/// Where somebody has added a function of the same name, one that may be called is enough.
fn lacks_execute_sql() -> String {
    format!(
        "SELECT {ROUTINE}
           FROM pg_proc p JOIN pg_roles s ON s.rolname = 'giro_server'
          WHERE p.pronamespace = to_regnamespace('giro') AND p.proname = ANY ($1)
            AND NOT EXISTS (SELECT FROM pg_proc o
                             WHERE o.pronamespace = p.pronamespace AND o.proname = p.proname
                               AND has_function_privilege(s.oid, o.oid, 'EXECUTE'))
          ORDER BY 1"
    )
}

const EXTRA: &str = "
SELECT r.rolname::text, string_agg(DISTINCT a.privilege_type, ', '),
       CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname::text
  FROM pg_class c
 CROSS JOIN LATERAL aclexplode(c.relacl) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE c.relnamespace = to_regnamespace('giro') AND a.grantee <> c.relowner
   AND (c.relkind IN ('r', 'p', 'v', 'f')
        AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')
        OR c.relkind = 'S' AND a.privilege_type IN ('USAGE', 'UPDATE'))
 GROUP BY a.grantee, 1, 3, 4 ORDER BY 1 NULLS FIRST, 4 LIMIT 100";

const EXTRA_COLUMNS: &str = "
SELECT r.rolname::text, a.privilege_type, array_agg(t.attname::text ORDER BY t.attnum), c.relname::text
  FROM pg_attribute t
  JOIN pg_class c ON c.oid = t.attrelid
 CROSS JOIN LATERAL aclexplode(t.attacl) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE c.relnamespace = to_regnamespace('giro') AND c.relkind IN ('r', 'p', 'v', 'f')
   AND a.grantee <> c.relowner AND a.privilege_type IN ('INSERT', 'UPDATE', 'REFERENCES')
 GROUP BY a.grantee, 1, 2, 4 ORDER BY 1 NULLS FIRST, 4, 2 LIMIT 100";

fn extra_routines_sql() -> String {
    format!(
        "SELECT {ROUTINE}
           FROM pg_proc p
          CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
          WHERE p.pronamespace = to_regnamespace('giro') AND a.grantee = 0 AND a.privilege_type = 'EXECUTE'
          ORDER BY 1, 3 LIMIT 100"
    )
}

const EXTRA_MEMBERS: &str = "
SELECT DISTINCT r.rolname::text
  FROM pg_auth_members m
  JOIN pg_roles g ON g.oid = m.roleid AND g.rolname = 'pg_write_all_data'
  JOIN pg_roles r ON r.oid = m.member
 WHERE NOT r.rolsuper AND r.oid <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'giro')
 ORDER BY 1 LIMIT 100";

/// Who may be a server: who looks, who was made a member, and who is there as one.
const ROLES: &str = "
SELECT r.rolname::text, r.rolname = current_user AND NOT u.used,
       concat_ws(', ', CASE WHEN r.rolsuper THEN 'is a superuser' END,
                 CASE WHEN r.rolcreaterole THEN 'may make roles' END,
                 CASE WHEN r.rolcreatedb THEN 'may make databases' END,
                 CASE WHEN r.rolbypassrls THEN 'passes row security' END,
                 CASE WHEN u.used AND NOT r.rolsuper AND pg_has_role(r.oid, 'pg_read_all_data', 'MEMBER')
                      THEN 'reads all tables' END,
                 CASE WHEN NOT r.rolsuper AND EXISTS (
                          SELECT FROM pg_namespace n
                           WHERE n.nspname = 'giro' AND pg_has_role(r.oid, n.nspowner, 'MEMBER'))
                      THEN 'owns the schema' END) AS may
  FROM pg_roles r
 CROSS JOIN LATERAL (SELECT
       EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                WHERE g.rolname = 'giro_server' AND m.member = r.oid AND NOT m.admin_option)
       OR EXISTS (SELECT FROM pg_stat_activity a
                   WHERE a.usesysid = r.oid AND a.application_name LIKE 'giro lane%'
                     AND a.datname = current_database()) AS used) AS u
 WHERE r.rolcanlogin AND (u.used OR r.rolname = current_user)
 ORDER BY 2, 1 LIMIT 50";

pub(super) async fn look(patient: &mut Patient<'_>) {
    schema_fits(patient).await;
    let encoding = "SELECT current_setting('server_encoding')";
    for row in patient.ask(&[Check::NotUtf8], encoding).await.unwrap_or_default() {
        let encoding: String = row.get(0);
        if encoding != "UTF8" {
            let evidence = format!("server_encoding = {encoding}");
            let finding = Finding::new(Check::NotUtf8, Severity::Critical, evidence).remedy(
                "Giro refuses it: one text could fail a whole batch. Make another database, and move what is \
                 in this one by pg_dump.",
            );
            patient.add(finding.sql("CREATE DATABASE giro ENCODING 'UTF8' TEMPLATE template0;"));
        }
    }
    for row in patient.ask(&[Check::RolePrivileged], ROLES).await.unwrap_or_default() {
        let (role, only_looks, may): (String, bool, String) = (row.get(0), row.get(1), row.get(2));
        if may.is_empty() {
            continue;
        }
        let (severity, who) = match only_looks {
            true => (Severity::Notice, "which looks now"),
            false => (Severity::Warning, "which servers use"),
        };
        let evidence = format!("{role}, {who}, {may}");
        let finding = Finding::new(Check::RolePrivileged, severity, evidence).remedy(
            "A server needs no more than giro_server. If its URL has this role, give it another one: then \
             nothing that goes wrong in it can change history.",
        );
        patient.add(finding.sql(
            "CREATE ROLE giro_app LOGIN IN ROLE giro_server;\n\
             -- Then, in psql, its password: \\password giro_app",
        ));
    }
    if patient.about.has_schema {
        grants(patient).await;
    }
}

async fn schema_fits(patient: &mut Patient<'_>) {
    let differs = |error: SchemaError| {
        Finding::new(Check::SchemaDiffers, Severity::Critical, error.to_string())
            .remedy(
                "Run the `giro migrate` of the version that is to serve, then restart the servers; or, if \
                 somebody migrated with a newer one, run that.",
            )
            .sql(MIGRATE)
    };
    if !patient.about.has_schema {
        return patient.add(differs(SchemaError::Missing));
    }
    let info = "SELECT coalesce(version, 0), functions_hash FROM giro.schema_info";
    let before = patient.not_looked_at.len();
    let Some(rows) = patient.ask(&[Check::SchemaDiffers], info).await else {
        // Without the view there is no schema; without the right to it, that is not known.
        let missing = |note: &NotLooked| note.because.contains("42P01");
        let grant = format!("GRANT giro_server TO {};", quoted(&patient.about.role));
        if patient.not_looked_at.get(before).is_some_and(missing) {
            patient.not_looked_at.truncate(before);
            patient.add(differs(SchemaError::Missing));
        } else if let Some(note) = patient.not_looked_at.get_mut(before) {
            note.sql = Some(grant);
        }
        return;
    };
    let expected = schema::version();
    let error = match rows.first() {
        None => SchemaError::Missing,
        Some(row) if row.get::<_, i32>(0) != expected => {
            SchemaError::Version { found: row.get(0), expected }
        }
        Some(row) if row.get::<_, &str>(1) != schema::functions_hash() => SchemaError::Functions,
        Some(_) => return,
    };
    patient.add(differs(error));
}

async fn grants(patient: &mut Patient<'_>) {
    missing(patient).await;
    for row in patient.ask(&[Check::GrantExtra], EXTRA).await.unwrap_or_default() {
        let (rights, kind): (&str, &str) = (row.get(1), row.get(2));
        let object = quoted_in("giro", row.get(3));
        let role = grantee(&row);
        let revoke = format!("REVOKE {rights} ON {kind} {object} FROM {role};");
        patient.add(extra(format!("{role} has {rights} on {object}")).sql(revoke));
    }
    for row in patient.ask(&[Check::GrantExtra], EXTRA_COLUMNS).await.unwrap_or_default() {
        let columns: Vec<_> = row.get::<_, Vec<&str>>(2).into_iter().map(quoted).collect();
        let right = format!("{} ({})", row.get::<_, &str>(1), columns.join(", "));
        let (role, table) = (grantee(&row), quoted_in("giro", row.get(3)));
        let revoke = format!("REVOKE {right} ON TABLE {table} FROM {role};");
        patient.add(extra(format!("{role} has {right} on {table}")).sql(revoke));
    }
    let rows = patient.ask(&[Check::GrantExtra], &extra_routines_sql()).await;
    for row in rows.unwrap_or_default() {
        let routine = routine(&row);
        let revoke = format!("REVOKE EXECUTE ON ROUTINE {routine} FROM PUBLIC;");
        patient.add(extra(format!("PUBLIC has EXECUTE on {routine}")).sql(revoke));
    }
    for row in patient.ask(&[Check::GrantExtra], EXTRA_MEMBERS).await.unwrap_or_default() {
        let role = quoted(row.get(0));
        let evidence =
            format!("{role} is a member of pg_write_all_data: it may write to all tables");
        patient.add(extra(evidence).sql(format!("REVOKE pg_write_all_data FROM {role};")));
    }
}

async fn missing(patient: &mut Patient<'_>) {
    let (functions, views) = (&FUNCTIONS[..], &VIEWS[..]);
    let (functions, views) =
        ([(&functions as _, Type::TEXT_ARRAY)], [(&views as _, Type::TEXT_ARRAY)]);
    let check = [Check::GrantMissing];
    let lacks = patient.ask_with(&check, LACKS, &views).await.unwrap_or_default();
    let lacks = lacks.iter().map(|row| (row.get(0), row.get(1)));
    let mut lacks: Vec<(String, String)> = lacks.collect();
    let rows = patient.ask_with(&check, &lacks_execute_sql(), &functions).await.unwrap_or_default();
    lacks.extend(rows.iter().map(|row| ("EXECUTE".into(), format!("FUNCTION {}", routine(row)))));
    for (right, object) in lacks {
        let (evidence, sql) = match right.as_str() {
            "ROLE" => (
                format!("there is no role {object}"),
                format!("CREATE ROLE {object} NOLOGIN; GRANT {object} TO giro_app;\n{MIGRATE}"),
            ),
            _ => (
                format!("giro_server lacks {right} on {object}"),
                format!("GRANT {right} ON {object} TO giro_server;"),
            ),
        };
        let finding = Finding::new(Check::GrantMissing, Severity::Critical, evidence);
        let remedy = "Grant it again, or let `giro migrate` do so. Until then every batch fails (42501), and \
                      the servers are not ready.";
        patient.add(finding.remedy(remedy).sql(sql));
    }
}

/// A role may be called "PUBLIC" as well.
fn grantee(row: &Row) -> String {
    row.get::<_, Option<&str>>(0).map_or_else(|| "PUBLIC".into(), quoted)
}

/// Of a row that has [`ROUTINE`].
fn routine(row: &Row) -> String {
    let name = quoted_in("giro", row.get(0));
    if !row.get::<_, bool>(1) {
        return name;
    }
    let known: Vec<Option<&str>> = row.get(2);
    let (schemas, types): (Vec<&str>, Vec<&str>) = (row.get(3), row.get(4));
    let quoted = schemas.into_iter().zip(types).map(|(schema, name)| quoted_in(schema, name));
    let arguments: Vec<_> = known
        .into_iter()
        .zip(quoted)
        .map(|(known, quoted)| known.map_or(quoted, str::to_owned))
        .collect();
    format!("{name}({})", arguments.join(", "))
}

fn extra(evidence: String) -> Finding {
    Finding::new(Check::GrantExtra, Severity::Warning, evidence).remedy(
        "What is written past the functions is bound by no rule, and `giro verify` only finds it \
         afterwards. Take it back; who wants to move money calls the functions.",
    )
}
