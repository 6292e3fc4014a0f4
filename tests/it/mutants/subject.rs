//! A server and its database, broken or not.

use super::findings::Told;
use giro_tests::mutants::Mutant;
use giro_tests::{Client, ServerProcess, TestDatabase, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// What is tried.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    mutant: Option<&'static Mutant>,
}

/// Callers are patient, and so is the queue: these situations are not about time.
const PATIENT: [(&str, &str); 3] = [
    ("GIRO__SERVER__REQUEST_TIMEOUT", "20s"),
    ("GIRO__QUEUE__MAX_WAIT", "20s"),
    ("GIRO__QUEUE__TARGET_WAIT", "20s"),
];

/// A lock is waited for, however long a test needs it.
pub(super) const WAITING: [(&str, &str); 3] = [
    ("GIRO__DATABASE__STATEMENT_TIMEOUT", "9s"),
    ("GIRO__DATABASE__LOCK_TIMEOUT", "9s"),
    ("GIRO__BATCH__IN_FLIGHT", "1"),
];

impl Subject {
    pub(super) fn sound() -> Self {
        Self { mutant: None }
    }

    pub(super) fn with(mutant: &'static Mutant) -> Self {
        Self { mutant: Some(mutant) }
    }

    /// A server on a database, with settings of the test's own; there are accounts 1 to 8 without limits,
    /// and 9, which cannot pay what it does not have.
    pub(super) async fn server(
        &self,
        database: &TestDatabase,
        settings: &[(&str, &str)],
    ) -> ServerProcess {
        self.server_at(&database.server_url, settings).await
    }

    /// The same by way of another URL.
    pub(super) async fn server_at(&self, url: &str, settings: &[(&str, &str)]) -> ServerProcess {
        let mut environment = [&PATIENT[..], settings, &[("DATABASE_URL", url)]].concat();
        if let Some(mutant) = self.mutant {
            environment.extend(mutant.environment());
        }
        let program = env!("CARGO_BIN_EXE_giro-under-test");
        let server = ServerProcess::run(program, &["serve"], &environment).await;
        let mut accounts: Vec<Value> = (1..=8).map(|id| json!({ "id": id })).collect();
        accounts.push(json!({"id": 9, "flags": ["debits_must_not_exceed_credits"]}));
        let reply = server.client.post("/accounts", &json!(accounts)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        server
    }

    /// A database to try it on.
    pub(super) async fn database(&self) -> TestDatabase {
        self.on(TestDatabase::new().await).await
    }

    /// A database of a cluster of the test's own.
    pub(super) async fn on(&self, database: TestDatabase) -> TestDatabase {
        if let Some(mutant) = self.mutant {
            mutant.enter(&database).await;
        }
        database
    }
}

pub(super) fn transfer(id: u64, debit: u64, credit: u64, amount: u64) -> Value {
    json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": amount})
}

/// Sends a transfer, and keeps what is told.
pub(super) async fn post(client: Client, transfer: Value) -> Told {
    post_within(client, Duration::from_secs(20), transfer).await
}

/// The same for a caller that waits for so long.
pub(super) async fn post_within(client: Client, deadline: Duration, transfer: Value) -> Told {
    let id = transfer["id"].as_u64().expect("an id");
    let millis = deadline.as_millis().to_string();
    let headers = [("request-timeout-ms", millis.as_str())];
    let reply = client.post_with("/transfer", &headers, &transfer.to_string()).await;
    Told { id, reply: reply.expect("an answer") }
}

/// A lock on the row of an account, held by a session that Giro does not know.
pub(super) async fn lock(database: &TestDatabase, account: u64) -> tokio_postgres::Client {
    let holder = database.superuser().await;
    let lock = format!(
        "BEGIN; SELECT FROM giro.account_state
          WHERE id = lpad('{account}', 32, '0')::uuid FOR UPDATE"
    );
    holder.batch_execute(&lock).await.expect("the row is locked");
    holder
}

/// Waits until a metric of the transfers has a value.
pub(super) async fn gauge(server: &ServerProcess, name: &str, value: usize) {
    let line = format!("{name}{{batcher=\"transfers\"}} {value}");
    eventually(&line, async || {
        server.admin.get("/metrics").await.text.lines().any(|found| found == line)
    })
    .await;
}

/// Sends transfers in one batch: those of a server whose only batch in flight waits for a lock meanwhile,
/// which is one of its own with the id 900.
pub(super) async fn in_one_batch(
    server: &ServerProcess,
    database: &TestDatabase,
    transfers: Vec<Value>,
) -> Vec<Told> {
    let holder = lock(database, 7).await;
    let mut sent = vec![tokio::spawn(post(server.client, transfer(900, 7, 8, 1)))];
    gauge(server, "giro_batches_in_flight", 1).await;
    for (queued, transfer) in transfers.into_iter().enumerate() {
        sent.push(tokio::spawn(post(server.client, transfer)));
        gauge(server, "giro_queue_items", queued + 1).await;
    }
    holder.batch_execute("ROLLBACK").await.expect("the lock is released");
    let mut told = Vec::new();
    for sent in sent {
        told.push(sent.await.expect("what was told"));
    }
    told
}
