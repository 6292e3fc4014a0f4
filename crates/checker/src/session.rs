//! A session with the database of a run.

use crate::CheckError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::pin::pin;
use tokio::sync::mpsc;
use tokio_postgres::{Client, NoTls};

/// Room for large sorts, and as much of the machine as the one query at a time can use.
const SETTINGS: &str = "
SET work_mem = '256MB';
SET maintenance_work_mem = '256MB';
SET hash_mem_multiplier = 2;
SET max_parallel_workers_per_gather = 2;
SET jit = off;
SET synchronous_commit = off;
SET statement_timeout = 0;
SET search_path = pg_catalog";

pub(crate) struct Session(Client);

impl Session {
    pub(crate) async fn open(url: &str) -> Result<Self, CheckError> {
        let failed = |error| failed("connect", error);
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(failed)?;
        tokio::spawn(connection);
        let session = Self(client);
        session.run("SET", SETTINGS).await?;
        Ok(session)
    }

    /// Statements without results; `what` is what an error is told of.
    pub(crate) async fn run(&self, what: &str, sql: &str) -> Result<(), CheckError> {
        self.0.batch_execute(sql).await.map_err(|error| failed(what, error))
    }

    /// One number.
    pub(crate) async fn number(&self, what: &str, sql: &str) -> Result<u64, CheckError> {
        let row = self.0.query_one(sql, &[]).await.map_err(|error| failed(what, error))?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// Gives each row of a query with one column of text to somebody.
    pub(crate) async fn each_text(
        &self,
        what: &str,
        sql: &str,
        mut take: impl FnMut(String),
    ) -> Result<(), CheckError> {
        let failed = |error| failed(what, error);
        let none: [&str; 0] = [];
        let mut rows = pin!(self.0.query_raw(sql, none).await.map_err(failed)?);
        while let Some(row) = rows.next().await {
            take(row.map_err(failed)?.get(0));
        }
        Ok(())
    }

    /// The rows of a query as COPY has them: columns between tabs.
    pub(crate) async fn copy_out(
        &self,
        what: &str,
        query: &str,
        mut take: impl FnMut(&str),
    ) -> Result<(), CheckError> {
        let failed = |error| failed(what, error);
        let copy = format!("COPY ({query}) TO STDOUT");
        let mut rows = pin!(self.0.copy_out(&copy).await.map_err(failed)?);
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed)?;
            take(std::str::from_utf8(&row).unwrap_or_default().trim_end_matches('\n'));
        }
        Ok(())
    }

    /// Loads rows as COPY has them, in pieces.
    pub(crate) async fn copy_in(
        &self,
        what: &str,
        table: &str,
        rows: mpsc::Receiver<Bytes>,
    ) -> Result<(), CheckError> {
        let failed = |error| failed(what, error);
        let copy = format!("COPY {table} FROM STDIN");
        let sink = self.0.copy_in::<_, Bytes>(&copy).await.map_err(failed)?;
        stream(rows).map(Ok).forward(sink).await.map_err(failed)
    }
}

fn stream(mut rows: mpsc::Receiver<Bytes>) -> impl Stream<Item = Bytes> {
    futures_util::stream::poll_fn(move |context| rows.poll_recv(context))
}

fn failed(what: &str, error: tokio_postgres::Error) -> CheckError {
    CheckError::Postgres { what: what.into(), error }
}
