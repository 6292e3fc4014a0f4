//! The schema in the database: tables migrate by numbered steps, functions, views and grants are
//! replaced from their files.

use crate::connect::{ConnectError, Connector, UrlError};
use crate::describe::describe;
use refinery::{Migration, Runner};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;
use tokio_postgres::Client;

/// The numbered steps, append-only.
const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__ledger", include_str!("../../../sql/migrations/V1__ledger.sql")),
    ("V2__whole_ledger", include_str!("../../../sql/migrations/V2__whole_ledger.sql")),
    ("V3__fence", include_str!("../../../sql/migrations/V3__fence.sql")),
    ("V4__linked_transfers", include_str!("../../../sql/migrations/V4__linked_transfers.sql")),
    (
        "V5__checks_of_constants",
        include_str!("../../../sql/migrations/V5__checks_of_constants.sql"),
    ),
];

/// Replaced at every migration, in this order.
const REPLACED: &[&str] = &[
    include_str!("../../../sql/functions/flag_names.sql"),
    include_str!("../../../sql/functions/are_columns.sql"),
    include_str!("../../../sql/functions/transfer_difference.sql"),
    include_str!("../../../sql/functions/account_difference.sql"),
    include_str!("../../../sql/functions/batch_lock.sql"),
    include_str!("../../../sql/functions/enter_batch.sql"),
    include_str!("../../../sql/functions/settled_seq.sql"),
    include_str!("../../../sql/functions/seq_at.sql"),
    include_str!("../../../sql/functions/account_transfers.sql"),
    include_str!("../../../sql/functions/metadata_matches.sql"),
    include_str!("../../../sql/functions/member_id.sql"),
    include_str!("../../../sql/functions/find_holds.sql"),
    include_str!("../../../sql/functions/import_faults.sql"),
    include_str!("../../../sql/functions/apply_transfers.sql"),
    include_str!("../../../sql/functions/create_accounts.sql"),
    include_str!("../../../sql/functions/expire_holds.sql"),
    include_str!("../../../sql/views.sql"),
    include_str!("../../../sql/comments.sql"),
    include_str!("../../../sql/grants.sql"),
];

/// From the first packet to an open session.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For whoever migrates at the same time, and for those who use what is to be replaced.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// One migration at a time in a database: any constant will do.
const ADVISORY_LOCK: i64 = 0x6769_726f; // "giro"

/// The version of the tables that this program serves.
pub fn version() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("fewer migrations than 2^31")
}

/// What the functions, views and grants of this program are.
pub fn functions_hash() -> String {
    let mut hash = Sha256::new();
    for sql in REPLACED {
        hash.update(sql);
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why a database is not served.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// There is none, or the role may not see it.
    #[error(
        "the database has no giro schema that this role may use: run `giro migrate` with the \
         owner's URL, then GRANT giro_server TO the role of the server"
    )]
    Missing,
    /// Its tables are of another version.
    #[error(
        "the schema is version {found}, this program serves version {expected}: {}",
        if found < expected { "run `giro migrate`" } else { "use a newer giro" }
    )]
    Version {
        /// In the database.
        found: i32,
        /// In this program.
        expected: i32,
    },
    /// Its functions are of another build.
    #[error("the functions in the database are of another build: run `giro migrate`")]
    Functions,
}

/// What a migration did.
#[derive(Debug)]
pub struct Migrated {
    /// The steps that were applied now; empty when the tables were current.
    pub steps: Vec<String>,
    /// The version the tables have now.
    pub version: i32,
}

/// Why a migration failed. Nothing of the failed step is left behind.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Not a usable URL.
    #[error("the URL {0}")]
    Url(#[from] UrlError),
    /// There is no session with a database that takes writes.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// PostgreSQL refused.
    #[error("{}{}", describe(.0), hint(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// A numbered step failed, or the steps in the database are not those of this program.
    #[error("{0}")]
    Step(String),
}

fn hint(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .and_then(|word| word.hint())
        .map_or_else(String::new, |hint| format!(" ({hint})"))
}

/// Brings the schema up to date as the owner. Safe to run by several at once.
pub async fn migrate(url: &str) -> Result<Migrated, MigrateError> {
    let connector = Connector::new(url, CONNECT_TIMEOUT, Duration::ZERO, LOCK_TIMEOUT)?;
    let mut session = connector.open_migration("giro migrate").await?;
    session
        .client
        .batch_execute(&format!(
            "SET idle_in_transaction_session_timeout = '60s';
             SELECT pg_advisory_lock({ADVISORY_LOCK}); CREATE SCHEMA IF NOT EXISTS giro"
        ))
        .await?;
    let steps = apply_steps(&mut session.client).await?;
    replace_functions(&mut session.client).await?;
    Ok(Migrated { steps, version: version() })
}

async fn apply_steps(client: &mut Client) -> Result<Vec<String>, MigrateError> {
    let step = |error: refinery::Error| {
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error)
            && let Some(error) = source.downcast_ref::<tokio_postgres::Error>()
        {
            text = format!("{text}: {}", describe(error));
        }
        MigrateError::Step(text)
    };
    let migrations: Result<Vec<Migration>, _> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations.map_err(step)?);
    runner.set_migration_table_name("giro.migrations");
    let report = runner.run_async(client).await.map_err(step)?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

async fn replace_functions(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    for sql in REPLACED {
        transaction.batch_execute(sql).await?;
    }
    transaction
        .execute(
            "INSERT INTO giro.function_set (hash) VALUES ($1)
             ON CONFLICT (only_row) DO UPDATE SET hash = $1, installed_at = now()",
            &[&functions_hash()],
        )
        .await?;
    transaction.commit().await
}

/// Refuses a database that this program does not fit.
pub(crate) async fn check(client: &Client) -> Result<(), ConnectError> {
    let info = "SELECT version, functions_hash FROM giro.schema_info";
    let row = match client.query_opt(info, &[]).await {
        Ok(Some(row)) => row,
        Ok(None) => return Err(SchemaError::Missing.into()),
        Err(error) if is_missing(&error) => return Err(SchemaError::Missing.into()),
        Err(error) => return Err(error.into()),
    };
    let (found, expected) = (row.get::<_, Option<i32>>(0).unwrap_or(0), version());
    if found != expected {
        return Err(SchemaError::Version { found, expected }.into());
    }
    if row.get::<_, String>(1) != functions_hash() {
        return Err(SchemaError::Functions.into());
    }
    Ok(())
}

fn is_missing(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "3F000" | "42P01" | "42501"))
}
