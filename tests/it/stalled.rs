use giro_server::Config;
use giro_tests::{Reply, TestServer, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// A server whose two batches in flight wait for a lock, so that everything else is queued.
pub(crate) struct Stalled {
    pub(crate) server: TestServer,
    pub(crate) holder: Client,
    pub(crate) in_flight: Vec<JoinHandle<Reply>>,
}

pub(crate) fn patient(config: &mut Config) {
    config.database.statement_timeout.0 = Duration::from_secs(9);
    config.database.lock_timeout.0 = Duration::from_secs(9);
    config.queue.max_items = 4;
    config.batch.max_items = 4;
    config.queue.max_wait.0 = Duration::from_secs(20);
    config.queue.target_wait.0 = Duration::from_secs(20);
    config.server.request_timeout.0 = Duration::from_secs(20);
}

pub(crate) fn transfer(id: u64) -> Value {
    json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1})
}

impl Stalled {
    pub(crate) async fn new() -> Self {
        Self::configured(|_| ()).await
    }

    pub(crate) async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::configured(|config| {
            patient(config);
            configure(config);
        })
        .await;
        server.accounts(2).await;
        let holder = server.database.superuser().await;
        let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
        holder.batch_execute(lock).await.unwrap();
        let mut stalled = Self { server, holder, in_flight: Vec::new() };
        for id in [1001, 1002] {
            let sent = stalled.post(id);
            stalled.in_flight.push(sent);
            let busy = stalled.in_flight.len() as f64;
            stalled.gauge(r#"giro_batches_in_flight{batcher="transfers"}"#, busy).await;
        }
        stalled
    }

    pub(crate) fn post(&self, id: u64) -> JoinHandle<Reply> {
        let client = self.server.client;
        tokio::spawn(async move { client.post("/transfer", &transfer(id)).await })
    }

    async fn gauge(&self, metric: &str, value: f64) {
        eventually(metric, async || self.server.metric(metric).await == value).await;
    }

    pub(crate) async fn queued(&self, items: f64) {
        self.gauge(r#"giro_queue_items{batcher="transfers"}"#, items).await;
    }

    pub(crate) async fn go_on(&self) {
        self.holder.batch_execute("ROLLBACK").await.unwrap();
    }
}
