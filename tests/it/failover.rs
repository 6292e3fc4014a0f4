//! Two hosts in the URL, of which one is the primary, until it is not.

use giro_ledger::{ConnectError, Connector};
use giro_server::Config;
use giro_tests::standby::{Replication, both};
use giro_tests::{Pair, TestServer, database::connect, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

/// Whether a transfer is applied.
async fn applies(server: &TestServer, id: u64) -> bool {
    let transfer = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
    server.client.post("/transfer", &transfer).await.status == 200
}

/// Applies transfers with the ids `from..from + count`.
async fn apply(server: &TestServer, from: u64, count: u64) {
    for id in from..from + count {
        assert!(applies(server, id).await, "transfer {id}");
    }
}

fn connector(url: &str) -> Connector {
    let second = Duration::from_secs(1);
    Connector::new(url, 2 * second, 2 * second, second).expect("a URL")
}

async fn sessions(url: &str) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity
                  WHERE usename = 'giro_app' AND application_name <> 'giro survey'";
    connect(url).await.query_one(count, &[]).await.expect(count).get(0)
}

#[tokio::test]
async fn a_promoted_standby_serves_and_the_old_primary_is_refused_when_it_is_back() {
    let mut pair = Pair::start(Replication::Synchronous).await;
    let server = TestServer::on(pair.database().await, |_| {}).await;
    server.accounts(2).await;
    apply(&server, 1, 50).await;

    pair.primary.kill();
    pair.standby.promote().unwrap();
    let promoted = Instant::now();
    eventually("a transfer is applied on the promoted standby", async || {
        applies(&server, 51).await
    })
    .await;
    let first = promoted.elapsed();
    println!("first 200 after the promotion: {first:?}");
    assert!(first < Duration::from_secs(10), "{first:?}");
    let count = "SELECT count(*) FROM giro.transfers";
    assert_eq!(server.database.number(count).await, 51, "an acknowledged transfer is lost");
    server.database.assert_consistent().await;

    // It takes writes again, on its timeline of before, and is the first in the URL.
    pair.primary.start_again();
    server.until_ready().await;
    apply(&server, 52, 10).await;
    let fresh = connector(&server.database.server_url).probe().await.unwrap();
    assert_eq!(fresh.lineage.timeline, 2, "who knows nothing yet looks at both");
    pair.standby.kill();
    eventually("the old primary alone is refused", async || {
        let ready = server.admin.get("/readyz").await;
        ready.status == 503
            && ready.text.contains("timeline 1")
            && ready.text.contains("timeline 2")
    })
    .await;
    assert!(!applies(&server, 62).await);
    let refused = r#"giro_connect_failures_total{cause="lower_timeline"}"#;
    assert!(server.metric(refused).await >= 1.0);
    let old = connect(&pair.primary.url("postgres", "giro")).await;
    let written: i64 = old.query_one(count, &[]).await.unwrap().get(0);
    assert!(written <= 50, "the old primary has {written} transfers");

    pair.standby.start_again();
    server.until_ready().await;
    apply(&server, 63, 1).await;
    server.database.assert_consistent().await;
    server.stop().await;
}

#[tokio::test]
async fn a_standby_that_comes_first_is_passed_over_also_when_it_hangs() {
    let pair = Pair::start(Replication::Asynchronous).await;
    let mut database = pair.database().await;
    let url = |user| both(&pair.standby.url(user, "giro"), &pair.primary.url(user, "giro"));
    database.server_url = url("giro_app");
    database.owner_url = url("giro_owner");
    giro_ledger::schema::migrate(&database.owner_url).await.expect("the primary is migrated");
    let server = TestServer::on(database, |_| {}).await;
    server.accounts(2).await;
    apply(&server, 1, 5).await;
    assert_eq!(sessions(&pair.standby.url("postgres", "giro")).await, 0);

    pair.standby.freeze().unwrap();
    let fresh = connector(&url("giro_app"));
    fresh.probe().await.expect("half of the time is left for the primary");
    pair.standby.thaw().unwrap();

    let standby = pair.standby.url("giro_app", "giro");
    let alone = connector(&standby).probe().await.unwrap_err();
    assert!(matches!(alone, ConnectError::InRecovery) && alone.may_pass(), "{alone}");
    let asked = connector(&format!("{standby}?target_session_attrs=standby"));
    assert!(matches!(asked.probe().await, Err(ConnectError::StandbyAsked)));
    giro_ledger::verify::verify(&asked, 1, &mut |_| ()).await.expect("a standby can be audited");
    server.stop().await;
}

#[tokio::test]
async fn sessions_of_a_lower_timeline_end_when_a_higher_one_is_seen() {
    let pair = Pair::start(Replication::Asynchronous).await;
    let server = TestServer::on(pair.database().await, |_| {}).await;
    server.accounts(2).await;
    let replayed = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::int8
                      FROM pg_stat_replication";
    eventually("the standby has caught up", async || server.database.number(replayed).await == 0)
        .await;
    pair.standby.promote().unwrap();

    // Both take writes now. One session that is lost has to find the promoted one.
    let old = connect(&pair.primary.url("postgres", "postgres")).await;
    old.batch_execute("ALTER DATABASE giro ALLOW_CONNECTIONS false").await.unwrap();
    let lane = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'giro expiry'";
    assert_eq!(old.query(lane, &[]).await.unwrap().len(), 1);
    eventually("all sessions have left the old primary", async || {
        sessions(&pair.primary.url("postgres", "postgres")).await == 0
    })
    .await;
    server.until_ready().await;
    apply(&server, 1, 5).await;
    let promoted = connect(&pair.standby.url("postgres", "giro")).await;
    let applied = promoted.query_one("SELECT count(*) FROM giro.transfers", &[]).await.unwrap();
    assert_eq!(applied.get::<_, i64>(0), 5);
    server.stop().await;
}

#[tokio::test]
async fn no_session_is_added_to_those_that_wait_for_a_synchronous_standby() {
    let pair = Pair::start(Replication::Synchronous).await;
    let database = pair.database().await;
    pair.standby.freeze().unwrap();
    let url = pair.primary.url("giro_app", "giro");
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let url = format!("{url}?application_name=giro%20test");
            tokio::spawn(async move {
                let write = "SELECT pg_logical_emit_message(true, 'test', 'test')";
                connect(&url).await.query_one(write, &[]).await.map(|_| ())
            })
        })
        .collect();
    let connector = connector(&database.server_url);
    eventually("a session is refused", async || match connector.probe().await {
        Err(refused) => {
            let text = refused.to_string();
            assert!(refused.may_pass(), "{text}");
            text.contains("4 sessions already wait")
        }
        Ok(_) => false,
    })
    .await;
    pair.standby.thaw().unwrap();
    for waited in waiting {
        waited.await.unwrap().expect("the commit is acknowledged");
    }
    connector.probe().await.expect("nobody waits any more");
}

#[tokio::test]
async fn a_schema_that_changes_under_a_running_server_makes_it_not_ready() {
    let server = TestServer::configured(|config: &mut Config| config.database.lanes = 1).await;
    let owner = connect(&server.database.owner_url).await;
    let admin = server.database.superuser().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND usename = 'giro_app'";
    let remedies = [
        ("UPDATE giro.function_set SET hash = 'x'", "functions in the database are of another"),
        ("DROP VIEW giro.schema_info", "no giro schema"),
    ];
    for (change, reason) in remedies {
        owner.batch_execute(change).await.expect(change);
        admin.query(end, &[]).await.unwrap();
        eventually(reason, async || {
            let ready = server.admin.get("/readyz").await;
            ready.status == 503 && ready.text.contains(reason)
        })
        .await;
        let transfer = json!({"id": 1, "debit_account": 1, "credit_account": 2, "amount": 1});
        let shed = server.client.post("/transfer", &transfer).await;
        assert_eq!((shed.status.as_u16(), shed.outcome()), (503, "not_applied"), "{}", shed.text);
        giro_ledger::schema::migrate(&server.database.owner_url).await.unwrap();
        server.until_ready().await;
    }
    server.stop().await;
}
