//! Migrations, and what is refused to be served.

use crate::verify::used_ledger;
use giro_ledger::{Reason, schema};
use giro_server::{App, Config, DatabaseUrl, StartError};
use giro_tests::{TestDatabase, database::connect};

fn config(url: &str) -> Config {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.admin.listen.set_port(0);
    config.database.url = Some(DatabaseUrl::from(url.to_owned()));
    config
}

async fn refusal(url: &str) -> String {
    match App::start(&config(url)).await {
        Ok(_) => panic!("it was served"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn migrating_twice_and_at_once_is_migrating() {
    let database = TestDatabase::empty().await;
    let url = &database.owner_url;
    let (one, two, three) =
        tokio::join!(schema::migrate(url), schema::migrate(url), schema::migrate(url));
    let steps: usize = [one, two, three].into_iter().map(|done| done.unwrap().steps.len()).sum();
    assert_eq!(steps, schema::version() as usize, "each step once");
    let again = schema::migrate(url).await.unwrap();
    assert_eq!((again.steps.len(), again.version), (0, schema::version()));
    assert!(App::start(&config(&database.server_url)).await.is_ok());
}

/// What V4 and V5 did, undone: as version 3 left it.
const BACK_TO_V3: &str = "
    DROP VIEW giro.accounts, giro.transfers;
    DROP INDEX giro.decisions_debits, giro.decisions_credits;
    ALTER TABLE giro.decisions DROP COLUMN debit_previous, DROP COLUMN credit_previous;
    ALTER TABLE giro.account_state DROP COLUMN last_transfer, DROP COLUMN last_transfer_before,
        DROP COLUMN changed_at_before;
    ALTER TABLE giro.account_state
        ADD CONSTRAINT account_state_ledger_check CHECK (ledger > 0),
        ADD CONSTRAINT account_state_code_check CHECK (code BETWEEN 1 AND 65535);
    ALTER TABLE giro.batches
        ADD CONSTRAINT batches_kind_check CHECK (kind IN ('accounts', 'transfers', 'expirations'));
    CREATE INDEX decisions_debits ON giro.decisions (ledger, debit_account, seq)
        WHERE reason IS NULL AND debit_account IS NOT NULL;
    CREATE INDEX decisions_credits ON giro.decisions (ledger, credit_account, seq)
        WHERE reason IS NULL AND credit_account IS NOT NULL;
    DELETE FROM giro.migrations WHERE version >= 4";

#[tokio::test]
async fn migrating_a_used_ledger_links_its_transfers() {
    let database = used_ledger().await;
    let links = "
        SELECT string_agg(t::text, E'\\n' ORDER BY t)
          FROM (SELECT (ledger, id, debit_previous, credit_previous)::text FROM giro.transfers
                UNION ALL
                SELECT (ledger, id, last_transfer)::text FROM giro.accounts) AS every (t)";
    let superuser = database.superuser().await;
    let before: String = superuser.query_one(links, &[]).await.unwrap().get(0);
    connect(&database.owner_url).await.batch_execute(BACK_TO_V3).await.unwrap();
    let done = schema::migrate(&database.owner_url).await.unwrap();
    assert_eq!(done.steps.len() as i32, schema::version() - 3);
    let after: String = superuser.query_one(links, &[]).await.unwrap().get(0);
    assert_eq!(after, before);
    let report = database.audit().await;
    assert!(report.clean, "{report}");
    let append_only = "UPDATE giro.decisions SET debit_previous = NULL";
    superuser.batch_execute(append_only).await.expect_err("its triggers are back");
}

#[tokio::test]
async fn a_database_that_does_not_fit_is_refused_with_the_remedy() {
    let database = TestDatabase::empty().await;
    assert!(refusal(&database.server_url).await.contains("run `giro migrate`"));
    schema::migrate(&database.owner_url).await.unwrap();
    let owner = connect(&database.owner_url).await;
    owner.batch_execute("UPDATE giro.function_set SET hash = 'another'").await.unwrap();
    assert!(refusal(&database.server_url).await.contains("functions in the database"));
    schema::migrate(&database.owner_url).await.unwrap();
    owner
        .batch_execute(
            "INSERT INTO giro.migrations (version, name, applied_on, checksum)
             VALUES (999, 'later', '', '1')",
        )
        .await
        .unwrap();
    let message = refusal(&database.server_url).await;
    assert!(message.contains("version 999") && message.contains("newer giro"), "{message}");
}

#[tokio::test]
async fn a_database_that_forgets_is_refused() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let off = "ALTER ROLE giro_app IN DATABASE %D SET synchronous_commit = off";
    let name: String =
        superuser.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    superuser.batch_execute(&off.replace("%D", &name)).await.unwrap();
    let message = refusal(&database.server_url).await;
    assert!(message.contains("synchronous_commit = off"), "{message}");
}

#[tokio::test]
async fn bad_urls_fail_at_start_without_their_password() {
    let without = Config { database: Default::default(), ..config("") };
    let error = App::start(&without).await.err().expect("no database");
    assert!(matches!(error, StartError::NoDatabase) && error.to_string().contains("DATABASE_URL"));
    let database = TestDatabase::new().await;
    let wrong = database.server_url.replace("giro_app", "nobody_of_giro:hunter2");
    let message = refusal(&wrong).await;
    assert!(message.contains("28000") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn every_reason_in_the_functions_is_known_here_and_the_other_way_round() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let sources = "SELECT string_agg(prosrc, ' ') FROM pg_proc p
                    JOIN pg_namespace n ON n.oid = p.pronamespace
                   WHERE n.nspname = 'giro' AND prosrc ~ 'THEN'";
    let source: String = superuser.query_one(sources, &[]).await.unwrap().get(0);
    let mut in_sql: Vec<&str> = source
        .split("THEN")
        .skip(1)
        .filter_map(|after| after.trim_start().strip_prefix('\'')?.split('\'').next())
        .collect();
    in_sql.sort_unstable();
    in_sql.dedup();
    // The last is what the server says when the function has raised.
    let judged = &Reason::ALL[..Reason::ALL.len() - 1];
    let mut in_rust: Vec<&str> = judged.iter().map(|reason| reason.name()).collect();
    in_rust.sort_unstable();
    assert_eq!(in_sql, in_rust);
    // And the same ones are recorded.
    let recorded =
        source.split("known_as[i] IS NULL AND (\n                reason IN (").nth(1).unwrap();
    let recorded = recorded.split(')').next().unwrap();
    for reason in Reason::ALL {
        let in_sql = recorded.contains(&format!("'{}'", reason.name()));
        assert_eq!(in_sql, reason.is_recorded(), "{}", reason.name());
    }
}

#[tokio::test]
async fn everything_in_the_schema_says_what_it_is() {
    let database = TestDatabase::new().await;
    let superuser = database.superuser().await;
    let silent = "
        SELECT coalesce(string_agg(o.name, ', ' ORDER BY o.name), '')
          FROM (SELECT 'giro' AS name, obj_description('giro'::regnamespace, 'pg_namespace') AS says
                UNION ALL
                SELECT c.relname, obj_description(c.oid, 'pg_class')
                  FROM pg_class c
                 WHERE c.relnamespace = 'giro'::regnamespace AND c.relkind IN ('r', 'v', 'S')
                UNION ALL
                SELECT c.relname || '.' || a.attname, col_description(c.oid, a.attnum)
                  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                 WHERE c.relnamespace = 'giro'::regnamespace AND c.relkind = 'v'
                UNION ALL
                SELECT p.proname || '()', obj_description(p.oid, 'pg_proc')
                  FROM pg_proc p WHERE p.pronamespace = 'giro'::regnamespace) AS o
         WHERE o.says IS NULL";
    let silent: String = superuser.query_one(silent, &[]).await.unwrap().get(0);
    assert_eq!(silent, "", "sql/comments.sql says nothing of these");
}

#[tokio::test]
async fn the_array_function_refuses_a_malformed_call_as_a_whole() {
    let database = TestDatabase::new().await;
    let session = connect(&database.server_url).await;
    let (one, two) =
        ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002");
    let call = |accounts: &str, debits: &str, amounts: &str, fence: &str| {
        format!(
            "SELECT giro.apply_transfers(0, 1, 'test', {fence}, '{{1,1}}', '{{{accounts}}}',
                 '{{{one}}}', '{{1}}', '{{{debits}}}', '{{2}}', '{{{amounts}}}', '{{1}}', '{{0}}',
                 null, null, null, null, null, null, null, null, '{{0}}')"
        )
    };
    let sorted = format!("{one},{two}");
    for (statement, code) in [
        (call(&format!("{two},{one}"), "1", "1", "null"), "22023"),
        (call(&format!("{one},{one}"), "1", "1", "null"), "22023"),
        (call(one, "1", "1", "null"), "22023"),
        (call(&sorted, "3", "1", "null"), "22023"),
        (call(&sorted, "0", "1", "null"), "22023"),
        (call(&sorted, "1,1", "1", "null"), "22023"),
        (call(&sorted, "NULL", "1", "null"), "22023"),
        (call(&sorted, "1", "1.5", "null"), "22023"),
        (call(&sorted, "1", "-1", "null"), "22023"),
        (call(&sorted, "1", "NaN", "null"), "22023"),
        (call(&sorted, "1", "NULL", "null"), "22023"),
        (call(&sorted, "1", "340282366920938463463374607431768211456", "null"), "22023"),
        (call(&sorted, "1", "1", "now() - interval '1 second'"), "GR001"),
    ] {
        let error = session.batch_execute(&statement).await.expect_err(&statement);
        let found = error.code().map(|code| code.code());
        assert_eq!(found, Some(code), "{statement}: {error:?}");
    }
    // Columns under which a subscript and unnest would read different elements.
    let shifted = call(&sorted, "1", "1", "null");
    for (column, odd) in [
        ("'{1}', '{1}', '{2}'", "'{1}', '[0:0]={1}', '{2}'"),
        ("'{1}', '{0}',", "'{1}', '[2:2]={0}',"),
        ("'{1}', '{0}',", "'{1}', '{{0}}',"),
        ("'{0}')", "'[0:0]={0}')"),
        // Of another length, or neither a dry run nor none.
        ("'{1,1}',", "'{}',"),
        ("'{1,1}',", "'{1}',"),
        ("'{0}')", "'{0,0}')"),
        ("'{0}')", "'{0}', NULL)"),
        // Without what the call itself needs.
        ("(0, ", "(NULL, "),
        ("'test'", "NULL"),
        (&*format!("'{{{one}}}', '{{1}}'"), "NULL, '{1}'"),
        ("'{1,1}'", "NULL"),
        // A post may do without an amount, and still has a place for it.
        ("'{1}', '{1}', '{0}',", "NULL, '{1}', '{4}',"),
        ("'{1}', '{1}', '{0}',", "'{}', '{1}', '{4}',"),
    ] {
        assert!(shifted.contains(column), "{column}");
        let statement = shifted.replacen(column, odd, 1);
        let error = session.batch_execute(&statement).await.expect_err(&statement);
        assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{statement}: {error:?}");
    }
    for single in ["'{1}', '{NULL}'".to_owned(), format!("'{{NULL}}', '{{{one}}}'")] {
        let statement = shifted
            .replacen(&format!("'{{1,1}}', '{{{sorted}}}'"), &single, 1)
            .replacen("'{2}'", "'{1}'", 1);
        assert!(statement.contains(&single), "{statement}");
        let error = session.batch_execute(&statement).await.expect_err(&statement);
        assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{statement}: {error:?}");
    }
    // Moments of imports that are none, or that no reply could be written with.
    let nulls = "null, null, null, null, null, null, null, null, '{0}'";
    assert!(shifted.contains(nulls));
    for moment in
        ["1969-12-31 23:59:59.999999+00", "10000-01-01 00:00:00+00", "-infinity", "infinity"]
    {
        let imported =
            format!("null, null, null, null, '{{\"{moment}\"}}', null, null, null, '{{0}}'");
        let transfer = shifted.replacen("'{0}',", "'{256}',", 1).replacen(nulls, &imported, 1);
        let account = format!(
            "SELECT giro.create_accounts(0, 1, 'test', null, '{{{one}}}', '{{1}}', '{{1}}', '{{16}}',
                 '{{0}}', null, null, '{{\"{moment}\"}}', '{{0}}')"
        );
        for statement in [transfer, account] {
            let error = session.batch_execute(&statement).await.expect_err(&statement);
            let found = error.code().map(|code| code.code());
            assert_eq!(found, Some("22023"), "{statement}: {error:?}");
        }
    }
    let sound = call(&sorted, "1", "1", "now() + interval '1 hour'");
    session.batch_execute(&sound.replacen("null", "'{}'", 1)).await.unwrap();
    // A batch of nothing commits: it is what a probe sends.
    let nothing =
        "SELECT giro.apply_transfers(0, 1, 'test', null, '{}', '{}', '{}', '{}', '{}', '{}',
        '{}', '{}', '{}', null, null, null, null, null, null, null, null, null)";
    session.batch_execute(nothing).await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM giro.batches").await, 2);
}
