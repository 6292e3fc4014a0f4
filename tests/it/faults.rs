//! Faults of sessions, processes and networks: every answer stays true, every wait ends, and the server
//! heals by itself. `docs/reliability.md` says which fault is shown where.

mod catalogue;
mod clocks;
mod crashes;
mod disks;
mod drain;
mod hangs;
mod limits;
mod links;
mod locks;
mod machine;
mod poison;
mod sessions;
mod snapshots;
mod standby;
mod storm;
mod unfit;
mod zombies;

use giro_server::Config;
use giro_tests::cluster::{self, TestCluster};
use giro_tests::load::BESIDE;
use giro_tests::{Client, Reply, TestDatabase, TestServer, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A cluster of the test's own, with a server on it.
async fn private() -> (TestCluster, TestServer) {
    let cluster = cluster::start(&[]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    let server = TestServer::on(database, patient).await;
    (cluster, server)
}

/// A queue in which requests may wait for as long as their callers do.
fn patient(config: &mut Config) {
    config.queue.max_wait.0 = Duration::from_secs(20);
    config.queue.target_wait.0 = Duration::from_secs(20);
}

/// Moves 1 from account 1 to account 2.
fn transfer(id: u64) -> Value {
    json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1})
}

/// Sends a transfer whose caller waits for so long.
async fn post_within(client: Client, deadline: Duration, transfer: &Value) -> Reply {
    let deadline = deadline.as_millis().to_string();
    let headers = [("request-timeout-ms", deadline.as_str())];
    client.post_with("/transfer", &headers, &transfer.to_string()).await.expect("an answer")
}

/// Sends a transfer until it is applied, as a client with patience does.
async fn post_until_applied(client: Client, transfer: &Value) {
    eventually("it is applied", async || client.post("/transfer", transfer).await.status == 200)
        .await;
}

/// A lock on the row of an account, held by a session that Giro does not know.
async fn lock_account(server: &TestServer, id: u64) -> tokio_postgres::Client {
    let holder = server.database.superuser().await;
    let lock = format!(
        "BEGIN; SELECT FROM giro.account_state WHERE id = lpad('{id}', 32, '0')::uuid FOR UPDATE"
    );
    holder.batch_execute(&lock).await.expect("the row is locked");
    holder
}

/// Asserts that new transfers are refused at once, for this reason, while `livez` says that nobody has to
/// restart the server and `readyz` that it should get no traffic.
async fn assert_sheds_at_once(server: &TestServer, reason: &str) {
    eventually("new transfers are refused", async || {
        server.client.post("/transfer", &transfer(BESIDE)).await.reason() == reason
    })
    .await;
    for _ in 0..20 {
        let started = Instant::now();
        let reply = server.client.post("/transfer", &transfer(BESIDE)).await;
        // A slow machine is no reason to fail; a request that waited for the database is.
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
        assert_eq!((reply.status.as_u16(), reply.reason()), (503, reason), "{}", reply.text);
    }
    assert_eq!(server.admin.get("/livez").await.status, 200);
    assert_eq!(server.admin.get("/readyz").await.status, 503);
}
