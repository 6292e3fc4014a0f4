use crate::Metrics;
use crate::connect::{ConnectError, Connector, Session};
use bb8::{ErrorSink, ManageConnection};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, Statement};

/// One snapshot a statement, also within the functions it calls; nothing can be changed. A plan is made
/// for the tables as they are now, by index and in its order: one made while they were empty must not
/// be kept.
const SETTINGS: &str = "SET default_transaction_isolation = 'repeatable read';
     SET default_transaction_read_only = on;
     SET plan_cache_mode = force_custom_plan;
     SET enable_seqscan = off; SET enable_bitmapscan = off;
     SET enable_hashjoin = off; SET enable_mergejoin = off;
     SET enable_sort = off; SET enable_material = off; SET jit = off";

/// Opens the sessions of the pool.
pub(super) struct Manager {
    pub(super) connector: Connector,
}

/// A session with the statements that it has met. Broken unless the last read on it was seen to its
/// end: one whose future was dropped still runs, and the next one would wait for it.
pub struct Reader {
    session: Session,
    /// By their text. There are few: it depends on the kind of a read, not on its values.
    statements: Mutex<HashMap<String, Statement>>,
    busy: AtomicBool,
}

impl Reader {
    pub(super) fn is_usable(&self) -> bool {
        self.session.is_usable()
    }

    pub(super) fn begin(&self) {
        self.busy.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// The rows of a statement, whose parameters have these types.
    pub(super) async fn rows(
        &self,
        sql: &str,
        types: &[Type],
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let known = self.statements().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.session.client.prepare_typed(sql, types).await?;
                self.statements().insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        self.session.client.query(&statement, parameters).await
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ManageConnection for Manager {
    type Connection = Reader;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Reader, ConnectError> {
        let session = self.connector.open_reader("giro reader").await?;
        self.connector.within(session.client.batch_execute(SETTINGS)).await?;
        Ok(Reader { session, statements: Mutex::default(), busy: AtomicBool::new(false) })
    }

    async fn is_valid(&self, reader: &mut Reader) -> Result<(), ConnectError> {
        reader.session.client.simple_query("").await?;
        Ok(())
    }

    fn has_broken(&self, reader: &mut Reader) -> bool {
        *reader.busy.get_mut() || !reader.session.is_usable()
    }
}

/// Where bb8 reports why a session could not be opened; callers only see a time-out.
#[derive(Clone)]
pub(super) struct Sink(pub(super) Metrics);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

impl ErrorSink<ConnectError> for Sink {
    fn sink(&self, error: ConnectError) {
        self.0.connect_failed(&error);
        tracing::warn!("a session for reads could not be opened: {error}");
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<ConnectError>> {
        Box::new(self.clone())
    }
}
