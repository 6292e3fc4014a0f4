//! What shows that a fault happened: a superuser's look into PostgreSQL, and lines of its log.

use crate::cluster::TestCluster;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls, Row};

/// How long one look may take: PostgreSQL may hang.
const LOOK: Duration = Duration::from_secs(2);
/// How long evidence may take to come, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A superuser on one cluster. The session may die with what happens there, and is then opened again.
pub struct Witness {
    url: String,
    session: Option<Client>,
    /// Why the last look failed.
    blind: String,
}

impl Witness {
    /// Of the database that the storm is about.
    pub fn of(cluster: &TestCluster) -> Self {
        let url = cluster.url("postgres", "giro");
        Self { url, session: None, blind: String::new() }
    }

    /// Whether PostgreSQL answers a statement, and with which rows.
    pub async fn look(&mut self, sql: &str) -> Option<Vec<Row>> {
        let looked = timeout(LOOK, async {
            let session = match self.session.take().filter(|session| !session.is_closed()) {
                Some(session) => session,
                None => {
                    let (session, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
                    tokio::spawn(connection);
                    session
                }
            };
            let rows = session.query(sql, &[]).await?;
            Ok::<_, tokio_postgres::Error>((session, rows))
        });
        match looked.await {
            Ok(Ok((session, rows))) => {
                self.session = Some(session);
                Some(rows)
            }
            Ok(Err(error)) => {
                self.blind = error.as_db_error().map_or(error.to_string(), ToString::to_string);
                None
            }
            Err(_) => {
                self.blind = format!("no answer for {LOOK:?}");
                None
            }
        }
    }

    /// The first row that a query returns within a time.
    pub async fn glimpse(&mut self, sql: &str, within: Duration) -> Option<Row> {
        let started = Instant::now();
        loop {
            let rows = self.look(sql).await;
            if let Some(row) = rows.and_then(|rows| rows.into_iter().next()) {
                return Some(row);
            }
            if started.elapsed() > within {
                return None;
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// Waits for a row that has to come.
    pub async fn see(&mut self, what: &str, sql: &str) -> Row {
        match self.glimpse(sql, PATIENCE).await {
            Some(row) => row,
            None => panic!("not within {PATIENCE:?}: {what}; {}: {sql}", self.blind),
        }
    }

    /// Has a statement carried out that may be repeated.
    pub async fn order(&mut self, sql: &str) {
        let started = Instant::now();
        while self.look(sql).await.is_none() {
            assert!(started.elapsed() < PATIENCE, "{sql}: {}", self.blind);
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The log of a cluster from now on.
pub struct LogFrom {
    file: PathBuf,
    from: usize,
}

impl LogFrom {
    /// From its present end.
    pub fn now(cluster: &TestCluster) -> Self {
        let file = cluster.log_file();
        let from = fs::metadata(&file).map_or(0, |log| log.len() as usize);
        Self { file, from }
    }

    /// Every line with this text.
    pub fn lines(&self, text: &str) -> Vec<String> {
        let log = fs::read(&self.file).expect("the log of PostgreSQL");
        let log = String::from_utf8_lossy(log.get(self.from..).unwrap_or_default()).into_owned();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// Waits for a line with this text.
    pub async fn line(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            if let Some(line) = self.lines(text).into_iter().next() {
                return line;
            }
            let all = || self.lines("").join("\n");
            assert!(started.elapsed() < PATIENCE, "no line with {text:?}: {}", all());
            sleep(Duration::from_millis(10)).await;
        }
    }
}
