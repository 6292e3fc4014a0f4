use crate::backoff::Backoff;
use crate::call::{ArrayCall, BadReply, Header, Verdict};
use crate::connect::{ConnectError, Connector, Session};
use crate::describe::describe;
use crate::failure::{Cause, Failure, classify};
use crate::metrics::Metrics;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::Statement;

/// Sends of one batch that was rolled back each time. A batch whose result is unknown is sent until
/// its deadline instead.
const SENDS_MAX: u32 = 3;

/// What an answer needs to reach its caller.
const ANSWER_TIME: Duration = Duration::from_millis(10);

/// Why a batch has no verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unapplied {
    /// Never sent: there was no session until the deadline.
    NotSent,
    /// Sent, and rolled back each time.
    RolledBack,
    /// Sent, and its result was not learnt.
    Unknown,
}

/// One session that applies batches by one array function, one autocommit statement a batch.
/// Batches handed over while another runs are pipelined behind it.
pub struct Lane<C> {
    name: String,
    server: String,
    connector: Connector,
    /// A batch without an answer after this long has an unknown result.
    watchdog: Duration,
    metrics: Metrics,
    current: watch::Sender<Option<Arc<Prepared>>>,
    last_failure: Mutex<Option<String>>,
    function: std::marker::PhantomData<fn() -> C>,
}

struct Prepared {
    session: Session,
    statement: Statement,
}

/// The result of one send.
enum Sent<T> {
    Done(T),
    Failed(Failure),
}

impl<C: ArrayCall> Lane<C> {
    /// A lane without a session; [`keep_connected`](Self::keep_connected) gives it one.
    pub fn new(
        name: String,
        server: String,
        connector: Connector,
        watchdog: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            name,
            server,
            connector,
            watchdog,
            metrics,
            current: watch::Sender::new(None),
            last_failure: Mutex::new(None),
            function: std::marker::PhantomData,
        }
    }

    /// Opens a session whenever the lane has none, forever. Run it as a task of its own.
    pub async fn keep_connected(self: Arc<Self>) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match self.prepare().await {
                Ok(prepared) => {
                    let prepared = Arc::new(prepared);
                    self.note_failure(None);
                    self.current.send_replace(Some(prepared.clone()));
                    tracing::info!(lane = self.name, "connected");
                    backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
                    prepared.session.ended().await;
                    self.current.send_replace(None);
                }
                Err(error) => {
                    self.metrics.connect_failed(&error);
                    self.note_failure(Some(error.to_string()));
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Nothing while it has a session, else why not.
    pub fn trouble(&self) -> Option<String> {
        if is_usable(&self.current.borrow()) {
            return None;
        }
        let last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        Some(last.clone().unwrap_or_else(|| "it is being opened".into()))
    }

    /// Resolves when it has a session.
    pub async fn connected(&self) {
        self.usable().await;
    }

    /// Applies a batch: the verdicts of each request, by position.
    ///
    /// A batch that was rolled back is sent again a few times, one whose result is unknown is sent
    /// again with the same ids until the deadline; the ids make that safe. No send begins after
    /// the deadline; one that has begun may take the watchdog's time longer.
    pub async fn apply(
        &self,
        requests: &[Vec<C::Item>],
        deadline: Instant,
    ) -> Result<Vec<Vec<Verdict<C::Applied>>>, Unapplied> {
        let columns = C::columns(requests);
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let mut in_doubt = false;
        let mut sends = 0;
        loop {
            // A little early, so that "never sent" reaches a caller before its own deadline does.
            let give_up = deadline - ANSWER_TIME;
            let Ok(prepared) = timeout_at(give_up, self.usable()).await else { break };
            match self.send(&prepared, &columns).await {
                Sent::Done(verdicts) => return Ok(split(verdicts, requests)),
                Sent::Failed(Failure::Unknown(cause)) => {
                    self.metrics.unknown(C::NAME, cause);
                    in_doubt = true;
                    prepared.session.kill();
                }
                Sent::Failed(failure) => {
                    sends += 1;
                    if failure == Failure::RetryElsewhere {
                        prepared.session.kill();
                    }
                    if !in_doubt && (failure == Failure::Aborted || sends >= SENDS_MAX) {
                        break;
                    }
                    self.metrics.retries.with_label_values(&[C::NAME]).inc();
                }
            }
            let wait = backoff.next();
            if Instant::now() + wait >= deadline {
                break;
            }
            sleep(wait).await;
        }
        Err(match (in_doubt, sends) {
            (true, _) => Unapplied::Unknown,
            (false, 0) => Unapplied::NotSent,
            (false, _) => Unapplied::RolledBack,
        })
    }

    async fn send(
        &self,
        prepared: &Prepared,
        columns: &C::Columns<'_>,
    ) -> Sent<Vec<Verdict<C::Applied>>> {
        let Prepared { session, statement } = prepared;
        let header = Header {
            shard: 0,
            token: fastrand::i64(..),
            server: self.server.clone(),
            not_after: None,
            dry_run: false,
        };
        let parameters = C::parameters(&header, columns);
        let warnings = session.warnings();
        let started = Instant::now();
        // query() returns at the end of the reply, which PostgreSQL sends after the commit.
        let rows = match timeout(self.watchdog, session.client.query(statement, &parameters)).await
        {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                self.metrics.call_failed(&error);
                tracing::warn!(lane = self.name, function = C::NAME, "{}", describe(&error));
                return Sent::Failed(classify(session, &error, self.watchdog).await);
            }
            Err(_) => {
                tracing::warn!(
                    lane = self.name,
                    function = C::NAME,
                    "no answer after {:?}",
                    self.watchdog
                );
                return Sent::Failed(Failure::Unknown(Cause::Watchdog));
            }
        };
        self.metrics
            .call_seconds
            .with_label_values(&[C::NAME])
            .observe(started.elapsed().as_secs_f64());
        if session.warnings() != warnings {
            return Sent::Failed(Failure::Unknown(Cause::Warning));
        }
        let verdicts = match &rows[..] {
            [row] => C::verdicts(row, &header, columns),
            _ => Err(BadReply::Shape(format!("{} rows instead of one", rows.len()))),
        };
        match verdicts {
            Ok(verdicts) => Sent::Done(verdicts),
            Err(error) => {
                tracing::error!(lane = self.name, function = C::NAME, "{error}");
                Sent::Failed(Failure::Unknown(match error {
                    BadReply::Echo => Cause::Echo,
                    BadReply::Shape(_) => Cause::Reply,
                }))
            }
        }
    }

    async fn prepare(&self) -> Result<Prepared, ConnectError> {
        let (session, _) = self.connector.open(&self.name).await?;
        let statement = session.client.prepare(C::STATEMENT).await?;
        Ok(Prepared { session, statement })
    }

    async fn usable(&self) -> Arc<Prepared> {
        let mut current = self.current.subscribe();
        let current = current.wait_for(is_usable).await;
        // Unwrap safety: the sender is a field of self, and the predicate wants a session.
        current.expect("the lane lives").clone().expect("there is a session")
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

fn is_usable(current: &Option<Arc<Prepared>>) -> bool {
    current.as_ref().is_some_and(|prepared| prepared.session.is_usable())
}

/// The verdicts of a batch, request by request.
fn split<A, I>(verdicts: Vec<Verdict<A>>, requests: &[Vec<I>]) -> Vec<Vec<Verdict<A>>> {
    let mut verdicts = verdicts.into_iter();
    requests.iter().map(|items| verdicts.by_ref().take(items.len()).collect()).collect()
}
