use crate::call::{ArrayCall, BadReply, Header, Verdict};
use crate::connect::{ConnectError, Connector, Session};
use crate::describe::describe;
use crate::failure::{Cause, Failure, classify};
use crate::metrics::Metrics;
use crate::mutant::{self, Mutant};
use futures_util::StreamExt;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// Opens sessions that apply batches by one array function, one autocommit statement a batch.
pub struct Lane<C> {
    name: String,
    server: String,
    connector: Connector,
    /// How long an empty batch may take to commit.
    patience: Duration,
    metrics: Metrics,
    last_failure: Mutex<Option<String>>,
    function: std::marker::PhantomData<fn() -> C>,
}

/// A session that has committed an empty batch. Batches sent on it while another runs are pipelined
/// behind it. Dropping it ends it.
pub struct Prepared {
    session: Session,
    statement: Statement,
}

impl Prepared {
    /// Resolves when the session has ended, for whatever reason.
    pub async fn ended(&self) {
        self.session.ended().await;
    }

    /// Ends the session at once: every call on it fails, whatever PostgreSQL is doing.
    pub fn disconnect(&self) {
        self.session.kill();
    }
}

impl<C: ArrayCall> Lane<C> {
    /// A lane without a session.
    pub fn new(
        name: String,
        server: String,
        connector: Connector,
        patience: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            name,
            server,
            connector,
            patience,
            metrics,
            last_failure: Mutex::new(None),
            function: std::marker::PhantomData,
        }
    }

    /// Opens a session and proves that it can commit; `None` when it cannot, and
    /// [`last_failure`](Self::last_failure) says why.
    pub async fn connect(&self) -> Option<Prepared> {
        match self.prepare().await {
            Ok(prepared) => {
                self.note_failure(None);
                tracing::info!(lane = self.name, "connected");
                Some(prepared)
            }
            Err(error) => {
                self.metrics.connect_failed(&error);
                self.note_failure(Some(error.to_string()));
                None
            }
        }
    }

    /// Why the last attempt to connect failed, if it did.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a batch once: the verdicts of each request, by position. PostgreSQL does not apply it
    /// past `not_after`. Ends when the session does, at the latest.
    pub async fn send(
        &self,
        prepared: &Prepared,
        requests: &[Vec<C::Item>],
        not_after: Instant,
    ) -> Result<Vec<Vec<Verdict<C::Applied>>>, Failure> {
        let columns = C::columns(requests);
        let header = self.header(prepared.session.clock().map(|clock| clock.at(not_after)));
        let verdicts = self.call(prepared, &header, &columns).await?;
        Ok(split(verdicts, requests))
    }

    async fn prepare(&self) -> Result<Prepared, ConnectError> {
        let (session, _) = self.connector.open(&self.name).await?;
        let prove = timeout(self.patience, self.prove(session)).await;
        prove.unwrap_or(Err(ConnectError::Probe("it was not answered in time")))
    }

    async fn prove(&self, session: Session) -> Result<Prepared, ConnectError> {
        let statement = session.client.prepare(C::STATEMENT).await?;
        let prepared = Prepared { session, statement };
        let (header, nothing) = (self.header(None), C::columns(&[]));
        let probe = self.call(&prepared, &header, &nothing).await;
        probe.map_err(|failure| ConnectError::Probe(failure.meaning()))?;
        Ok(prepared)
    }

    fn header(&self, not_after: Option<std::time::SystemTime>) -> Header {
        let (token, server) = (fastrand::i64(..), self.server.clone());
        Header { shard: 0, token, server, not_after, dry_run: false }
    }

    async fn call(
        &self,
        prepared: &Prepared,
        header: &Header,
        columns: &C::Columns<'_>,
    ) -> Result<Vec<Verdict<C::Applied>>, Failure> {
        let Prepared { session, statement } = prepared;
        let parameters = C::parameters(header, columns);
        let warnings = session.warnings();
        let started = Instant::now();
        let rows = match rows(session, statement, &parameters).await {
            Ok(rows) => rows,
            Err((error, ended)) => {
                self.metrics.call_failed(&error);
                tracing::warn!(lane = self.name, function = C::NAME, "{}", describe(&error));
                return Err(self.note_unknown(classify(session, &error, ended).await));
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        self.metrics.call_seconds.with_label_values(&[C::NAME]).observe(seconds);
        if session.warnings() != warnings && !mutant::is(Mutant::IgnoreWarning) {
            return Err(self.note_unknown(Failure::Unknown(Cause::Warning)));
        }
        let verdicts = match &rows[..] {
            [row] => C::verdicts(row, header, columns),
            _ => Err(BadReply::Shape(format!("{} rows instead of one", rows.len()))),
        };
        verdicts.map_err(|error| {
            tracing::error!(lane = self.name, function = C::NAME, "{error}");
            self.note_unknown(Failure::Unknown(match error {
                BadReply::Echo => Cause::Echo,
                BadReply::Shape(_) => Cause::Reply,
            }))
        })
    }

    fn note_unknown(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Unknown(cause) => self.metrics.unknown(C::NAME, cause),
            Failure::Fenced => self.metrics.fenced.with_label_values(&[C::NAME]).inc(),
            _ => {}
        }
        failure
    }

    /// Logs why there is no session when the reason changes, not at every attempt.
    fn note_failure(&self, failure: Option<String>) {
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &failure
            && last.as_ref() != Some(failure)
        {
            tracing::warn!(lane = self.name, "not connected: {failure}");
        }
        *last = failure;
    }
}

/// All rows of a call, once it is over: PostgreSQL ends the reply after the commit. After an error, says
/// whether the end of the reply has come as well.
async fn rows(
    session: &Session,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, (tokio_postgres::Error, bool)> {
    let parameters = parameters.iter().copied();
    let stream = session.client.query_raw(statement, parameters).await;
    let mut stream = pin!(stream.map_err(|error| (error, false))?);
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        match row {
            Ok(row) if mutant::is(Mutant::AckOnFirstRow) => return Ok(vec![row]),
            Ok(row) => rows.push(row),
            Err(error) => return Err((error, stream.next().await.is_none())),
        }
    }
    Ok(rows)
}

/// The verdicts of a batch, request by request.
fn split<A, I>(verdicts: Vec<Verdict<A>>, requests: &[Vec<I>]) -> Vec<Vec<Verdict<A>>> {
    let mut verdicts = verdicts.into_iter();
    requests.iter().map(|items| verdicts.by_ref().take(items.len()).collect()).collect()
}
