//! Against a real PostgreSQL: what each fault leaves behind on either side.

mod command;
mod network;
mod replies;

use giro_proxy::Checked;
use giro_tests::database::connect;
use giro_tests::{Fault, Proxy, Target, TestDatabase, eventually};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, Statement};

const TARGET: Target = Target {
    sessions: "lane",
    calls: "INSERT INTO marks",
    checked: &[Checked { column: 0, from: 0 }],
};

/// A table behind a proxy.
struct Behind {
    database: TestDatabase,
    proxy: Proxy,
    /// The URL through another proxy.
    by_hand: Option<String>,
}

/// A session through the proxy that can mark the table.
struct Marker {
    client: Client,
    mark: Statement,
}

impl Behind {
    async fn new() -> Self {
        let database = TestDatabase::empty().await;
        let owner = connect(&database.owner_url).await;
        owner.batch_execute("CREATE TABLE marks (mark bigint)").await.unwrap();
        let proxy = Proxy::start(&database.owner_url, TARGET).await;
        Self { database, proxy, by_hand: None }
    }

    async fn session(&self, name: &str) -> Result<Client, tokio_postgres::Error> {
        let through = self.by_hand.as_deref().unwrap_or(self.proxy.url());
        let url = format!("{through}?application_name={name}");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn marker(&self, name: &str) -> Marker {
        let client = self.session(name).await.unwrap();
        let mark = client.prepare("INSERT INTO marks VALUES ($1) RETURNING mark").await.unwrap();
        Marker { client, mark }
    }

    async fn has_marks(&self, count: i64) {
        let all = "SELECT count(*) FROM marks";
        eventually("the marks", async || self.database.number(all).await == count).await;
    }

    /// Nothing is under way any more, so what is not there will not come.
    async fn has_no_session(&self) {
        let all = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name LIKE 'lane%'";
        eventually("no session", async || self.database.number(all).await == 0).await;
    }
}

impl Marker {
    /// Sets a mark; what the reply says was set.
    async fn mark(&self, mark: i64) -> Result<Vec<i64>, tokio_postgres::Error> {
        let rows = self.client.query(&self.mark, &[&mark]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

#[tokio::test]
async fn a_cut_before_sync_commits_nothing_and_one_behind_it_everything() {
    let behind = Behind::new().await;
    for (fault, marks) in [
        (Fault::CutInRequest, 0),
        (Fault::CutBeforeSync, 0),
        (Fault::CutAfterSync, 1),
        (Fault::CutInReply, 2),
        (Fault::CutBeforeReady, 3),
        (Fault::HalfClose, 4),
    ] {
        let lane = behind.marker("lane").await;
        behind.proxy.arm(fault);
        // Another statement is no call, and another session no target.
        lane.client.simple_query("SELECT 1").await.unwrap();
        lane.client.query("SELECT 1", &[]).await.unwrap();
        let other = behind.marker("other").await;
        other.client.query("SELECT 1", &[]).await.unwrap();
        assert_eq!(behind.proxy.fired(fault), 0, "{fault:?}");
        let error = lane.mark(1).await.expect_err("the session is cut");
        assert!(error.is_closed() || error.as_db_error().is_none(), "{fault:?}: {error:?}");
        assert_eq!(behind.proxy.fired(fault), 1, "{fault:?}");
        drop(lane);
        behind.has_no_session().await;
        behind.has_marks(marks).await;
    }
    let lane = behind.marker("lane").await;
    assert_eq!(lane.mark(1).await.unwrap(), [1], "a fault happens once");
    // The first was cut before its Sync could come.
    assert_eq!(behind.proxy.counts().calls, 6);
}

#[tokio::test]
async fn a_reset_ends_both_sides_without_a_word() {
    let behind = Behind::new().await;
    let url = format!("{}?application_name=lane", behind.proxy.url());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let ended = tokio::spawn(connection);
    let mark = client.prepare("INSERT INTO marks VALUES ($1) RETURNING mark").await.unwrap();
    behind.proxy.arm(Fault::Reset);
    client.query(&mark, &[&1i64]).await.expect_err("the session is reset");
    let error = ended.await.unwrap().expect_err("not closed in order");
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    let kind = cause.map(std::io::Error::kind);
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
    behind.has_no_session().await;
    assert_eq!(behind.proxy.fired(Fault::Reset), 1);
    assert!(behind.database.number("SELECT count(*) FROM marks").await <= 1);
}

#[tokio::test]
async fn what_a_black_hole_holds_back_is_delivered_when_it_heals() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.black_hole();
    let waited = timeout(Duration::from_millis(200), lane.mark(1)).await;
    assert!(waited.is_err(), "no answer, and no end: {waited:?}");
    assert!(!lane.client.is_closed());
    assert!(behind.proxy.counts().held >= 1);
    behind.has_marks(0).await;
    drop(lane);
    behind.proxy.heal();
    behind.has_marks(1).await;
}

#[tokio::test]
async fn new_sessions_are_refused() {
    let behind = Behind::new().await;
    behind.proxy.refuse(true);
    assert!(behind.session("lane").await.is_err());
    assert!(behind.session("other").await.is_ok());
    assert_eq!(behind.proxy.counts().refused, 1);
    behind.proxy.refuse(false);
    assert!(behind.session("lane").await.is_ok());
}

#[tokio::test]
async fn what_was_armed_can_be_taken_back_and_what_was_set_ends_at_once() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.arm(Fault::Reset);
    behind.proxy.arm(Fault::Reset);
    assert_eq!(behind.proxy.disarm(Fault::Reset), 2);
    assert_eq!(behind.proxy.disarm(Fault::Reset), 0);
    behind.proxy.arm(Fault::CutAfterSync);
    behind.proxy.at_random(Fault::CutBeforeSync, 1.0);
    behind.proxy.slice(1);
    behind.proxy.black_hole();
    behind.proxy.calm();
    assert_eq!(lane.mark(1).await.unwrap(), [1]);
    assert_eq!(behind.proxy.counts().sliced, 0);
    assert!(Fault::ALL.iter().all(|fault| behind.proxy.fired(*fault) == 0));
}

#[tokio::test]
async fn requests_to_cancel_are_passed_on_and_counted() {
    let behind = Behind::new().await;
    let client = behind.session("other").await.unwrap();
    let token = client.cancel_token();
    let asleep = client.simple_query("SELECT pg_sleep(30)");
    let cancel = async {
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)'";
        eventually("asleep", async || behind.database.number(sleeping).await == 1).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (slept, ()) = tokio::join!(asleep, cancel);
    assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014");
    assert_eq!(behind.proxy.counts().cancels, 1);
}
