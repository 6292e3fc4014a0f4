//! What hangs on the tables: triggers, rules and constraints, compared with the migrations.

use super::check::Check;
use super::patient::Patient;
use super::quote::{briefly, quoted, quoted_in};
use super::report::{Finding, Severity};
use tokio_postgres::types::Type;

const APPEND_ONLY: [&str; 5] =
    ["decisions", "batches", "account_balances", "expirations", "hold_chains"];

const CHECKS: [&str; 2] = ["function_set_only_row_check", "imports_kind_check"];

const TRIGGERS_SQL: &str = "
SELECT t.relname::text, g.tgname::text, g.tgenabled::text,
       (SELECT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE p.oid = g.tgfoid)
  FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
 WHERE t.relnamespace = to_regnamespace('giro') AND NOT g.tgisinternal
UNION ALL
SELECT t.relname::text, r.rulename::text, 'rule', NULL
  FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class
 WHERE t.relnamespace = to_regnamespace('giro') AND t.relkind = 'r'
 ORDER BY 1, 2";

/// PostgreSQL 18 lists NOT NULL as well: only checks and foreign keys are asked for.
const CONSTRAINTS_SQL: &str = "
SELECT c.conname::text, n.nspname::text, c.contype::text,
       pg_get_constraintdef(c.oid), f.relname::text, t.relname::text
  FROM pg_constraint c
  JOIN pg_class t ON t.oid = c.conrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  LEFT JOIN pg_class f ON f.oid = c.confrelid
 WHERE to_regnamespace('giro') IN (t.relnamespace, f.relnamespace) AND c.contype IN ('c', 'f')
   AND t.relkind IN ('r', 'p') AND NOT (c.contype = 'c' AND c.conname = ANY ($1))
 ORDER BY 2, 6, 1 LIMIT 100";

pub(super) async fn look(patient: &mut Patient<'_>) {
    triggers(patient).await;
    let checks = &CHECKS[..];
    let parameters = [(&checks as _, Type::TEXT_ARRAY)];
    let constraints = patient.ask_with(&[Check::ConstraintExtra], CONSTRAINTS_SQL, &parameters);
    for row in constraints.await.unwrap_or_default() {
        let (name, kind): (String, String) = (row.get(0), row.get(2));
        let table = quoted_in(row.get(1), row.get(5));
        let (definition, onto): (String, Option<String>) = (row.get(3), row.get(4));
        let of_giro = row.get::<_, &str>(1) == "giro";
        let remedy = match (kind.as_str(), onto) {
            ("f", _) if of_giro => {
                "Every row that a batch writes is looked up in the other table, and waits for whoever deletes \
                 that row or changes its key. Drop it, or be sure that it is rare."
            }
            ("f", Some(onto)) if onto == "account_state" => {
                "Every row that refers to an account locks it for key share. Batches do not wait for that; but \
                 who shares a row's lock with a batch makes a multixact id, which costs both, and has to be \
                 frozen. Drop it, and check in your own function that the account exists."
            }
            ("f", _) => {
                "Every row that refers to one of Giro's locks it for key share, which writes to it. Drop it, or \
                 be sure that it is rare."
            }
            _ => {
                "What it refuses fails a batch, which is then cut in two until the culprit is alone \
                 (422 refused_by_database). Drop it, or express it as a limit of the account."
            }
        };
        let evidence = format!("{name} on {table}: {definition}");
        let finding = Finding::new(Check::ConstraintExtra, Severity::Warning, evidence);
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {};", quoted(&name));
        patient.add(finding.remedy(remedy).sql(briefly(&drop)));
    }
}

async fn triggers(patient: &mut Patient<'_>) {
    let checks = [Check::AppendOnlyOff, Check::TriggerExtra];
    let Some(rows) = patient.ask(&checks, TRIGGERS_SQL).await else { return };
    let is = |row: &tokio_postgres::Row, table: &str, name: &str| {
        row.get::<_, &str>(0) == table && row.get::<_, &str>(1) == name
    };
    let wanted = APPEND_ONLY.iter().flat_map(|table| {
        [
            ("append_only_rows", "UPDATE OR DELETE", "ROW"),
            ("append_only_table", "TRUNCATE", "STATEMENT"),
        ]
        .map(|(name, events, each)| (*table, name, events, each))
    });
    for (table, name, events, each) in wanted.clone() {
        let found = rows.iter().find(|row| is(row, table, name));
        let intact = |row: &&tokio_postgres::Row| {
            row.get::<_, Option<&str>>(3) == Some("giro.refuse_change")
        };
        let state = found.filter(intact).map(|row| row.get::<_, &str>(2));
        if state == Some("A") {
            continue;
        }
        let enable = format!("ALTER TABLE giro.{table} ENABLE ALWAYS TRIGGER {name};");
        let (what, sql) = match state {
            Some("D") => ("disabled", enable),
            Some(_) => ("off while replication applies", enable),
            None => (
                "gone",
                format!(
                    "CREATE OR REPLACE TRIGGER {name} BEFORE {events} ON giro.{table} FOR EACH {each} \
                     EXECUTE FUNCTION giro.refuse_change();\n{enable}"
                ),
            ),
        };
        let finding = Finding::new(
            Check::AppendOnlyOff,
            Severity::Critical,
            format!("{name} on giro.{table} is {what}"),
        );
        let remedy = "Somebody could change history, and perhaps has: enable it, then let `giro verify` look, \
                      and find out who. Keep the owner's login for `giro migrate`.";
        patient.add(finding.remedy(remedy).sql(briefly(&sql)));
    }
    for row in &rows {
        let (table, name): (&str, &str) = (row.get(0), row.get(1));
        if wanted.clone().any(|(table, name, ..)| is(row, table, name)) {
            continue;
        }
        let kind = if row.get::<_, &str>(2) == "rule" { "RULE" } else { "TRIGGER" };
        let calls = row.get::<_, Option<&str>>(3).map(|it| format!(", calls {it}"));
        let evidence = format!("{kind} {name} on giro.{table}{}", calls.unwrap_or_default());
        let finding = Finding::new(Check::TriggerExtra, Severity::Warning, evidence).remedy(
            "It runs within every batch, while the accounts are locked: what it costs, all callers pay, and \
             what it raises fails them (422 refused_by_database). Rather read giro.transfers by seq, or use \
             logical decoding.",
        );
        let drop = format!("DROP {kind} {} ON {};", quoted(name), quoted_in("giro", table));
        patient.add(finding.sql(briefly(&drop)));
    }
}
