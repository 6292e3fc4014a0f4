use crate::connect::{Connector, Session};
use crate::describe::describe;
use crate::metrics::Metrics;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;

/// Between two looks for holds whose time is over: well within the two seconds that are promised.
const INTERVAL: Duration = Duration::from_millis(500);

/// Holds released in one call: their accounts are locked as long as a batch would.
const HOLDS_MAX: i32 = 500;

const RELEASE: &str = "SELECT giro.expire_holds(shard => 0, server => $1, max_items => $2)";

/// Releases holds at their deadline, on a session of its own. Any number of servers may run it: the
/// function lets one in at a time.
pub struct Expiry {
    server: String,
    connector: Connector,
    /// A call without an answer after this long is given up with its session.
    watchdog: Duration,
    metrics: Metrics,
}

impl Expiry {
    /// Nothing runs until [`run`](Self::run) does.
    pub fn new(server: String, connector: Connector, watchdog: Duration, metrics: Metrics) -> Self {
        Self { server, connector, watchdog, metrics }
    }

    /// Releases what is due, forever. Run it as a task of its own.
    pub async fn run(self) {
        loop {
            let failure = match self.connector.open("giro expiry").await {
                Ok((session, _)) => self.release_on(&session).await,
                Err(error) => {
                    self.metrics.connect_failed(&error);
                    error.to_string()
                }
            };
            self.failed(&failure);
            sleep(INTERVAL).await;
        }
    }

    /// Why the session is of no more use.
    async fn release_on(&self, session: &Session) -> String {
        let statement = match self.connector.within(session.client.prepare(RELEASE)).await {
            Ok(statement) => statement,
            Err(error) => return error.to_string(),
        };
        loop {
            let parameters: [&(dyn ToSql + Sync); 2] = [&self.server, &HOLDS_MAX];
            let call = session.client.query_one(&statement, &parameters);
            let released = match timeout(self.watchdog, call).await {
                Ok(Ok(row)) => row.get::<_, i32>(0),
                Ok(Err(error)) if session.is_usable() && is_rolled_back(&error) => {
                    self.failed(&describe(&error));
                    0
                }
                Ok(Err(error)) => return describe(&error),
                Err(_) => return format!("no answer after {:?}", self.watchdog),
            };
            self.metrics.holds_expired.inc_by(u64::try_from(released).unwrap_or(0));
            if released < HOLDS_MAX {
                sleep(INTERVAL).await;
            }
        }
    }

    fn failed(&self, failure: &str) {
        self.metrics.expiry_failures.inc();
        tracing::warn!("holds are not released: {failure}");
    }
}

/// Whether PostgreSQL says that only the call has failed: the session may go on.
fn is_rolled_back(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|word| word.parsed_severity() == Some(Severity::Error))
}
