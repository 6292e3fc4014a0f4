//! What somebody has done to the schema. Where the remedy is SQL, it is pasted, and helps.

use super::{
    alone, connector, examine, examine_with, is_found, of, one, paste, superuser_url, wanted,
};
use giro_ledger::doctor::Severity::{Critical, Notice, Warning};
use giro_ledger::doctor::{Check, Limits, Wanted, doctor};
use giro_tests::TestDatabase;
use giro_tests::cluster::shared_url;
use giro_tests::database::connect;

#[tokio::test]
async fn what_was_changed_in_the_schema_is_found_and_its_remedy_mends_it() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    superuser
        .batch_execute(
            "CREATE FUNCTION public.noise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        )
        .await
        .unwrap();
    for (check, severity, change) in [
        (Check::IndexExtra, Critical, "CREATE INDEX rich ON giro.account_state (credits_posted)"),
        (
            Check::IndexExtra,
            Critical,
            "CREATE INDEX \"Poor\" ON giro.account_state (id) WHERE version > 5",
        ),
        (Check::IndexExtra, Notice, "CREATE INDEX tags ON giro.decisions USING gin (metadata)"),
        (Check::IndexMissing, Critical, "DROP INDEX giro.decisions_resolution"),
        (
            Check::IndexMissing,
            Critical,
            "ALTER TABLE giro.account_state DROP CONSTRAINT account_state_pkey",
        ),
        (
            Check::IndexMissing,
            Critical,
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'giro.decisions_order'::regclass",
        ),
        (
            Check::IndexMissing,
            Critical,
            "DROP INDEX giro.decisions_resolution;
             CREATE INDEX decisions_resolution ON giro.decisions (ledger, pending_id)
                 WHERE pending_id IS NOT NULL AND reason IS NULL",
        ),
        (
            Check::IndexMissing,
            Critical,
            "DROP INDEX giro.decisions_order;
             CREATE INDEX decisions_order ON giro.decisions (ledger, seq) WHERE reason IS NULL",
        ),
        (
            Check::IndexMissing,
            Critical,
            "ALTER TABLE giro.decisions DROP CONSTRAINT decisions_pkey,
                 ADD CONSTRAINT decisions_pkey UNIQUE (ledger, id) DEFERRABLE",
        ),
        (
            Check::IndexMissing,
            Critical,
            "ALTER TABLE giro.batches DROP CONSTRAINT batches_pkey;
             CREATE UNIQUE INDEX batches_pkey ON giro.batches (shard, id)",
        ),
        (Check::IndexExtra, Notice, "ALTER TABLE giro.batches ADD CONSTRAINT twice UNIQUE (id)"),
        (
            Check::AppendOnlyOff,
            Critical,
            "ALTER TABLE giro.decisions DISABLE TRIGGER append_only_rows",
        ),
        (
            Check::AppendOnlyOff,
            Critical,
            "ALTER TABLE giro.batches ENABLE TRIGGER append_only_rows",
        ),
        (Check::AppendOnlyOff, Critical, "DROP TRIGGER append_only_table ON giro.hold_chains"),
        (
            Check::TriggerExtra,
            Warning,
            "CREATE TRIGGER loud AFTER UPDATE ON giro.account_state
             FOR EACH ROW EXECUTE FUNCTION public.noise()",
        ),
        (
            Check::TriggerExtra,
            Warning,
            "CREATE RULE quiet AS ON DELETE TO giro.open_holds DO INSTEAD NOTHING",
        ),
        (
            Check::ConstraintExtra,
            Warning,
            "CREATE TABLE public.customers (ledger int, account uuid,
                 CONSTRAINT has_account FOREIGN KEY (ledger, account)
                 REFERENCES giro.account_state (ledger, id))",
        ),
        (
            Check::ConstraintExtra,
            Warning,
            "ALTER TABLE giro.decisions ADD CONSTRAINT small CHECK (amount < 10)",
        ),
        (Check::ConstraintExtra, Warning, "ALTER TABLE giro.account_state ADD CHECK (code < 100)"),
        (Check::TableSettings, Warning, "ALTER TABLE giro.account_state SET (fillfactor = 100)"),
        (
            Check::TableSettings,
            Warning,
            "ALTER TABLE giro.open_holds RESET (autovacuum_vacuum_threshold)",
        ),
        (Check::TableSettings, Warning, "ALTER TABLE giro.batches SET (fillfactor = 90)"),
        (Check::TableSettings, Warning, "ALTER TABLE giro.batches SET (user_catalog_table = true)"),
        (
            Check::AutovacuumOff,
            Critical,
            "ALTER TABLE giro.account_state SET (autovacuum_enabled = false)",
        ),
        (Check::GrantExtra, Warning, "GRANT UPDATE, INSERT ON giro.account_state TO giro_app"),
        (Check::GrantExtra, Warning, "GRANT EXECUTE ON FUNCTION giro.expire_holds TO PUBLIC"),
        (
            Check::GrantExtra,
            Warning,
            "GRANT UPDATE (credits_posted) ON giro.account_state TO giro_app",
        ),
        (Check::GrantExtra, Warning, "GRANT UPDATE ON SEQUENCE giro.batch_id TO giro_app"),
        (Check::GrantExtra, Warning, "GRANT DELETE ON giro.balances TO giro_app"),
        (
            Check::GrantExtra,
            Warning,
            "CREATE FUNCTION giro.expire_holds(text[], giro.account_state) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ),
        (Check::GrantMissing, Critical, "REVOKE SELECT ON giro.transfers FROM giro_server"),
        (
            Check::GrantMissing,
            Critical,
            "REVOKE EXECUTE ON FUNCTION giro.apply_transfers FROM giro_server",
        ),
        (Check::GrantMissing, Critical, "REVOKE USAGE ON SCHEMA giro FROM giro_server"),
    ] {
        superuser.batch_execute(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        let report = of(&database).await;
        let finding = one(&report, check, severity);
        let sql = finding.sql.as_deref().expect("SQL to paste");
        assert!(
            !sql.contains(" INDEX ") || sql.contains("CONCURRENTLY") || sql.contains("USING INDEX"),
            "{sql}"
        );
        let locks_out = ["CONSTRAINT", "TRIGGER", "DROP RULE", "DROP INDEX giro", "user_catalog"];
        if let Some(at) = locks_out.iter().filter_map(|words| sql.find(words)).min() {
            let before = sql.find("SET lock_timeout = '1s';");
            assert!(before.is_some_and(|before| before < at), "{sql}");
        }
        // CONCURRENTLY wants no transaction, and several statements at once are one.
        paste(&superuser, sql).await;
        let report = of(&database).await;
        assert!(!is_found(&report, check), "{change}, then {sql}: {report}");
        assert!(report.worst <= Some(Notice), "{change}, then {sql}: {report}");
    }
}

#[tokio::test]
async fn an_id_has_one_answer_while_its_index_is_replaced() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let change = "ALTER TABLE giro.decisions DROP CONSTRAINT decisions_pkey,
                      ADD CONSTRAINT decisions_pkey UNIQUE (ledger, id) DEFERRABLE";
    superuser.batch_execute(change).await.unwrap();
    let report = of(&database).await;
    let sql = one(&report, Check::IndexMissing, Critical).sql.as_deref().unwrap();
    let unique = "SELECT count(*) FROM pg_index WHERE indrelid = 'giro.decisions'::regclass
                     AND indisunique AND indisvalid
                     AND pg_get_indexdef(indexrelid) LIKE '%(ledger, id)'";
    assert_eq!(database.number(unique).await, 1);
    for statement in sql.split_inclusive(";\n") {
        paste(&superuser, statement).await;
        assert!(database.number(unique).await >= 1, "{statement} of {sql}");
    }
    assert!(!is_found(&of(&database).await, Check::IndexMissing));
}

#[tokio::test]
async fn each_index_and_trigger_of_the_migrations_is_missed() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let count = |sql: &'static str| database.number(sql);
    let indexes = count("SELECT count(*) FROM pg_indexes WHERE schemaname = 'giro'").await;
    let triggers = "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
                     WHERE relnamespace = 'giro'::regnamespace AND NOT tgisinternal";
    let triggers = count(triggers).await;
    let drop = "DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
                    WHERE c.relnamespace = 'giro'::regnamespace AND c.relkind = 'r' LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', one.name);
        END LOOP;
        UPDATE pg_index SET indisvalid = false WHERE indrelid IN (
            SELECT oid FROM pg_class WHERE relnamespace = 'giro'::regnamespace);
    END $$";
    superuser.batch_execute(drop).await.unwrap();
    let report = of(&database).await;
    assert_eq!(report.of(Check::IndexMissing).count() as i64, indexes, "{report}");
    assert_eq!(report.of(Check::AppendOnlyOff).count() as i64, triggers, "{report}");
    assert!(indexes >= 18 && triggers == 10, "{indexes} {triggers}");
}

#[tokio::test]
async fn another_schema_is_critical() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let alter = "UPDATE giro.function_set SET hash = 'another'";
    superuser.batch_execute(alter).await.unwrap();
    for url in [&superuser_url(&database), &database.server_url] {
        let report = examine(url).await;
        let finding = one(&report, Check::SchemaDiffers, Critical);
        assert!(finding.evidence.contains("another build"), "{finding}");
    }
    superuser.batch_execute("DELETE FROM giro.migrations WHERE version > 1").await.unwrap();
    let report = of(&database).await;
    assert!(
        one(&report, Check::SchemaDiffers, Critical).evidence.contains("version 1"),
        "{report}"
    );
    let report = of(&TestDatabase::empty().await).await;
    assert!(one(&report, Check::SchemaDiffers, Critical).evidence.contains("no giro schema"));
    assert!(report.not_looked_at.iter().any(|note| note.id == Check::IndexMissing), "{report}");
    let stranger = TestDatabase::new().await;
    stranger
        .superuser()
        .await
        .batch_execute("REVOKE USAGE ON SCHEMA giro FROM giro_server")
        .await
        .unwrap();
    let report = examine(&stranger.server_url).await;
    let note = report.not_looked_at.iter().find(|note| note.id == Check::SchemaDiffers);
    assert_eq!(note.unwrap().sql.as_deref(), Some("GRANT giro_server TO giro_app;"), "{report}");
}

#[tokio::test]
async fn an_encoding_that_cannot_hold_every_text_is_critical() {
    let name = format!("ascii_{}", std::process::id());
    let admin = connect(&shared_url("postgres", "postgres")).await;
    let create = format!(
        "CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    admin.batch_execute(&create).await.unwrap();
    let report = examine(&shared_url("postgres", &name)).await;
    assert!(one(&report, Check::NotUtf8, Critical).evidence.contains("SQL_ASCII"));
}

#[tokio::test]
async fn settings_of_a_database_or_a_role_that_contradict_the_servers_are_found() {
    let (_cluster, database) = alone(&[]).await;
    let superuser = database.superuser().await;
    for (check, severity, change) in [
        (
            Check::SynchronousCommitOff,
            Critical,
            "ALTER ROLE giro_app SET synchronous_commit = 'off'",
        ),
        (Check::SynchronousCommitOff, Critical, "ALTER ROLE ALL SET synchronous_commit = 'off'"),
        (
            Check::SynchronousCommitOff,
            Critical,
            "ALTER ROLE ALL IN DATABASE giro SET synchronous_commit = false",
        ),
        (
            Check::SessionTimeouts,
            Warning,
            "ALTER ROLE giro_app IN DATABASE giro SET idle_session_timeout = '5min'",
        ),
        (Check::SessionTimeouts, Notice, "ALTER ROLE giro_app SET statement_timeout = '500ms'"),
        (Check::SessionTimeouts, Notice, "ALTER ROLE giro_app SET lock_timeout = '10ms'"),
        (Check::SessionTimeouts, Notice, "ALTER ROLE giro_app SET deadlock_timeout = '1min'"),
        (
            Check::NotPrimary,
            Critical,
            "ALTER ROLE giro_app SET default_transaction_read_only = true",
        ),
        (Check::Connections, Critical, "ALTER ROLE giro_app CONNECTION LIMIT 3"),
        (Check::Connections, Critical, "ALTER DATABASE giro CONNECTION LIMIT 5"),
        (Check::AutovacuumOff, Critical, "ALTER ROLE giro_app SET track_counts = 0"),
        (Check::RolePrivileged, Warning, "ALTER ROLE giro_app CREATEDB"),
        (Check::RolePrivileged, Warning, "GRANT pg_read_all_data TO giro_app"),
        (Check::GrantExtra, Warning, "GRANT pg_write_all_data TO giro_app"),
    ] {
        superuser.batch_execute(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        let report = of(&database).await;
        let finding = report.of(check).find(|it| it.severity == severity);
        let finding = finding.unwrap_or_else(|| panic!("{change}: {report}"));
        let mend = match check {
            Check::RolePrivileged => {
                "ALTER ROLE giro_app NOCREATEDB; REVOKE pg_read_all_data FROM giro_app"
            }
            _ => finding.sql.as_deref().expect("SQL to paste"),
        };
        superuser.batch_execute(mend).await.unwrap_or_else(|error| panic!("{mend}: {error}"));
        let report = of(&database).await;
        assert!(report.worst <= Some(Notice), "{change}, then {mend}: {report}");
    }
    assert!(is_found(&of(&database).await, Check::TransactionsUnbounded));
    let bound = "ALTER SYSTEM SET idle_in_transaction_session_timeout = '60s'";
    superuser.batch_execute(bound).await.unwrap();
    superuser.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    giro_tests::eventually("transactions are bounded", async || {
        !is_found(&of(&database).await, Check::TransactionsUnbounded)
    })
    .await;
}

#[tokio::test]
async fn connections_are_counted_against_what_servers_need() {
    let database = TestDatabase::new().await;
    let connector = connector(&database.server_url);
    for (wanted, severity) in [
        (Wanted { servers: Some(100), ..wanted() }, Warning),
        (Wanted { lanes: 500, ..wanted() }, Critical),
    ] {
        let report = doctor(&connector, &wanted, &Limits::default()).await.unwrap();
        let finding = report.of(Check::Connections).find(|it| it.severity == severity);
        let finding = finding.unwrap_or_else(|| panic!("{report}"));
        assert!(finding.remedy.contains("every standby before the primary"), "{finding}");
        let sql = finding.sql.as_deref().unwrap();
        assert!(sql.find("every standby first") < sql.find("ALTER SYSTEM"), "{sql}");
    }
    let few = Limits { connections_share: 0.001, ..Limits::default() };
    let report = examine_with(&database.server_url, &few).await;
    assert!(one(&report, Check::Connections, Warning).evidence.contains("are used"), "{report}");
}
