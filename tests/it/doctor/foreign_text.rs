//! Names that others choose, in what is shown and in what is pasted.

use super::{alone, examine_with, is_found, one, paste, superuser_url};
use giro_ledger::doctor::{Check, Limits, Report, Severity};
use giro_tests::database::connect;
use std::time::Duration;

const GID: &str = "x'; DROP TABLE public.y; --\nDROP TABLE public.y;\u{1b}[2J";
const ROLE: &str = "eve\"; DROP TABLE public.y; --\nDROP TABLE public.y; \\";

/// As SQL has them, without what is tested.
fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Nothing but what the report says by itself ends a line or moves a cursor.
fn is_printable(report: &Report) {
    let text = report.to_string();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains("\nDROP TABLE") && !text.contains("\n    DROP TABLE"), "{text}");
}

#[tokio::test]
async fn a_remedy_does_what_it_says_and_nothing_that_a_name_says() {
    let (_cluster, database) = alone(&[("max_prepared_transactions", "2")]).await;
    let (url, superuser) = (superuser_url(&database), database.superuser().await);
    let role = name(ROLE);
    let begin = format!(
        "CREATE TABLE public.y (); CREATE ROLE {role} SUPERUSER;
         CREATE TABLE giro.{role} (a int) WITH (fillfactor = 90);
         ALTER TABLE giro.{role} ADD COLUMN {role} int;
         GRANT INSERT ON giro.account_state, giro.{role} TO {role};
         GRANT UPDATE ({role}) ON giro.{role} TO {role};
         CREATE INDEX {index} ON giro.{role} (a);
         ALTER TABLE giro.{role} ADD CONSTRAINT {role} CHECK (a > 0);
         CREATE FUNCTION giro.{role}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE FUNCTION giro.{role}(giro.{role}, int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TRIGGER {role} BEFORE INSERT ON giro.{role} FOR EACH ROW EXECUTE FUNCTION giro.{role}()",
        index = name(&ROLE[1..]),
    );
    superuser.batch_execute(&begin).await.unwrap();
    let prepare = format!(
        "BEGIN; CREATE TABLE public.z (); PREPARE TRANSACTION '{}'",
        GID.replace('\'', "''")
    );
    superuser.batch_execute(&prepare).await.unwrap();
    let idle = connect(&url).await;
    let application = "eve\u{7f}\u{1b}[2J\nDROP TABLE public.y;";
    let begin = format!("SET application_name = '{application}'; SET ROLE {role}; BEGIN");
    idle.batch_execute(&begin).await.unwrap();
    idle.batch_execute("SELECT pg_current_xact_id()").await.unwrap();

    let limits = Limits { old: Duration::ZERO, ..Limits::default() };
    let report = examine_with(&url, &limits).await;
    is_printable(&report);
    let finding = one(&report, Check::PreparedTransaction, Severity::Warning);
    let expected = r"-- Only if its coordinator is gone for good:
ROLLBACK PREPARED E'x''; DROP TABLE public.y; --\u000ADROP TABLE public.y;\u001B[2J';";
    assert_eq!(finding.sql.as_deref(), Some(expected));
    one(&report, Check::IdleInTransaction, Severity::Warning);
    let pasted = [
        Check::PreparedTransaction,
        Check::IdleInTransaction,
        Check::IndexExtra,
        Check::TriggerExtra,
        Check::ConstraintExtra,
        Check::TableSettings,
        Check::GrantExtra,
    ];
    for check in pasted {
        assert!(is_found(&report, check), "{}: {report}", check.name());
        for sql in report.of(check).map(|it| it.sql.as_deref().expect("SQL to paste")) {
            assert!(!sql.contains("--") || sql.contains("E'") || sql.contains("U&\""), "{sql}");
            // As it stands in the text, too.
            assert!(sql.lines().all(|line| report.to_string().contains(line)), "{sql}");
            paste(&superuser, sql).await;
        }
    }
    let report = examine_with(&url, &limits).await;
    for check in pasted {
        assert!(!is_found(&report, check), "{}: {report}", check.name());
    }
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('y', 'z')";
    assert_eq!(database.number(left).await, 1, "a name was obeyed");
}
