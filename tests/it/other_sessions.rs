//! What the server's role learns of other sessions, and of a database that withholds what it may.

use giro_ledger::{ConnectError, Connector};
use giro_server::Config;
use giro_tests::cluster::{self, TestCluster};
use giro_tests::database::connect;
use giro_tests::{TestDatabase, TestServer, eventually};
use std::time::Duration;
use tokio_postgres::Client;

/// Sessions of other tests would be counted as well.
async fn alone() -> (TestCluster, TestDatabase) {
    let cluster = cluster::start(&[]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    (cluster, database)
}

fn connector(database: &TestDatabase) -> Connector {
    let (patience, short) = (Duration::from_secs(5), Duration::from_millis(100));
    Connector::new(&database.server_url, patience, short, short).unwrap()
}

#[tokio::test]
async fn sessions_of_other_roles_are_counted() {
    const OTHERS: usize = 20;
    let (_cluster, database) = alone().await;
    let server = TestServer::on(database, |_: &mut Config| ()).await;
    let metric = "giro_database_connections";
    eventually("a look", async || server.metric(metric).await > 0.0).await;
    let own = server.metric(metric).await;
    assert!(own < OTHERS as f64, "{own} sessions of its own");
    let mut others: Vec<Client> = Vec::new();
    for _ in 0..OTHERS {
        others.push(server.database.superuser().await);
    }
    eventually("all are counted", async || server.metric(metric).await >= OTHERS as f64).await;
    server.stop().await;
}

/// Runs without an end, as a commit on a disk that stands still does.
async fn hang(database: &TestDatabase, name: &str) -> Client {
    let session = connect(&database.server_url).await;
    session.batch_execute(&format!("SET application_name = '{name}'")).await.unwrap();
    let query = session.simple_query_raw("SELECT pg_sleep(60)").await;
    query.expect("it begins");
    session
}

#[tokio::test]
async fn beside_four_sessions_that_hang_no_further_one_is_opened() {
    let (_cluster, database) = alone().await;
    let connector = connector(&database);
    let mut hanging = Vec::new();
    for name in ["giro lane 1", "giro lane 2", "giro accounts", "giro verify", "giro reader"] {
        hanging.push(hang(&database, name).await);
    }
    let age = "SELECT count(*) FROM pg_stat_activity
                WHERE query LIKE '%pg_sleep(60)' AND clock_timestamp() - state_change > '1.2 s'";
    eventually("they hang", async || database.number(age).await == 5).await;
    connector.probe().await.expect("three hang that count");
    hanging.push(hang(&database, "giro probe").await);
    eventually("one more hangs", async || database.number(age).await == 6).await;
    let refused = connector.probe().await.expect_err("four hang");
    assert!(matches!(refused, ConnectError::SessionsHang { sessions: 4 }), "{refused}");
    assert!(refused.may_pass());
}

#[tokio::test]
async fn a_database_that_withholds_its_identifier_is_served() {
    let database = TestDatabase::new().await;
    let known = connector(&database).probe().await.unwrap().lineage;
    assert_ne!(known.system_identifier, 0);
    let revoke = "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC";
    database.superuser().await.batch_execute(revoke).await.unwrap();
    let lineage = connector(&database).probe().await.expect("it is served").lineage;
    assert_eq!((lineage.system_identifier, lineage.timeline), (0, known.timeline));
}
