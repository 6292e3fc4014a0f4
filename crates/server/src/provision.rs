//! What a private cluster needs before it can be migrated and served.

use crate::commands::Error;

const OWNER: &str = "giro_owner";
const SERVER: &str = "giro_app";

/// The URLs of a database made for Giro in a private cluster.
pub struct Provisioned {
    /// Of the role that owns the schema and migrates it.
    pub owner: String,
    /// Of the role that the server logs in with.
    pub server: String,
}

/// Makes the roles and the database that Giro needs in a private cluster, where they are missing:
/// an owner, and a login that may do no more than a server needs. `url` makes the URL of a role and a
/// database; `postgres` is a superuser.
pub async fn provision(
    url: &(dyn Fn(&str, &str) -> String + Sync),
    database: &str,
) -> Result<Provisioned, Error> {
    let (client, connection) =
        tokio_postgres::connect(&url("postgres", "postgres"), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let role = |name: &str, login: &str| {
        format!(
            "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
                 CREATE ROLE {name} {login};
             END IF;"
        )
    };
    client
        .batch_execute(&format!(
            "DO $$ BEGIN
                 PERFORM pg_advisory_xact_lock(1);
                 {} {} {}
                 GRANT giro_server TO {SERVER};
             END $$",
            role("giro_server", "NOLOGIN"),
            role(OWNER, "LOGIN"),
            role(SERVER, "LOGIN"),
        ))
        .await?;
    let exists = "SELECT FROM pg_database WHERE datname = $1";
    if client.query_opt(exists, &[&database]).await?.is_none() {
        client.batch_execute(&format!("CREATE DATABASE \"{database}\" OWNER {OWNER}")).await?;
    }
    Ok(Provisioned { owner: url(OWNER, database), server: url(SERVER, database) })
}
