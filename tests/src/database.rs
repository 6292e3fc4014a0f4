use crate::cluster::shared_url;
use giro_ledger::Connector;
use giro_ledger::verify::{Report, verify};
use giro_server::{Provisioned, provision};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

const TEMPLATE: &str = "giro_template";

/// A database of one test, migrated.
pub struct TestDatabase {
    /// Of the role that owns the schema.
    pub owner_url: String,
    /// Of the role that the server logs in with.
    pub server_url: String,
    /// Of a role that may do anything.
    pub superuser_url: String,
    name: String,
}

impl TestDatabase {
    /// A copy of the migrated template.
    pub async fn new() -> Self {
        Self::create(TEMPLATE).await
    }

    /// A database without the schema.
    pub async fn empty() -> Self {
        Self::create("template1").await
    }

    /// A copy with the same rows. Nobody may be in the original.
    pub async fn copy(&self) -> Self {
        Self::create(&self.name).await
    }

    async fn create(template: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let admin = connect(&shared_url("postgres", "postgres")).await;
        // One test process at a time makes the template or looks whether it is there.
        admin.batch_execute("SELECT pg_advisory_lock(2)").await.expect("an advisory lock");
        let made = "SELECT FROM pg_database WHERE datname = $1 AND datistemplate";
        if admin.query_opt(made, &[&TEMPLATE]).await.expect("a look at the databases").is_none() {
            let Provisioned { owner, .. } =
                provision(&shared_url, TEMPLATE).await.expect("the template is provisioned");
            giro_ledger::schema::migrate(&owner).await.expect("the template is migrated");
            let mark = format!("ALTER DATABASE {TEMPLATE} IS_TEMPLATE true");
            admin.batch_execute(&mark).await.expect("the template is marked");
        }
        let create = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER giro_owner");
        admin.batch_execute(&create).await.expect("a database");
        admin.batch_execute("SELECT pg_advisory_unlock(2)").await.expect("the lock is released");
        Self {
            owner_url: shared_url("giro_owner", &name),
            server_url: shared_url("giro_app", &name),
            superuser_url: shared_url("postgres", &name),
            name,
        }
    }

    /// A database of a cluster of the test's own, migrated. `url` makes the URL of a role and a
    /// database.
    pub async fn at(url: &(dyn Fn(&str, &str) -> String + Sync)) -> Self {
        let name = "giro";
        let made = provision(url, name).await.expect("the cluster is provisioned");
        giro_ledger::schema::migrate(&made.owner).await.expect("the database is migrated");
        Self {
            owner_url: made.owner,
            server_url: made.server,
            superuser_url: url("postgres", name),
            name: name.into(),
        }
    }

    /// A session that may do anything.
    pub async fn superuser(&self) -> Client {
        connect(&self.superuser_url).await
    }

    /// Lets sessions in, or keeps out all but a superuser's that is open already.
    pub async fn allow_connections(&self, allow: bool) {
        let admin = connect(&shared_url("postgres", "postgres")).await;
        let alter = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allow}", self.name);
        admin.batch_execute(&alter).await.expect("the database is altered");
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> i64 {
        self.superuser().await.query_one(sql, &[]).await.expect(sql).get(0)
    }

    /// Asserts that nobody has waited in a circle.
    pub async fn assert_no_deadlock(&self) {
        let sql = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'", self.name);
        assert_eq!(self.number(&sql).await, 0, "deadlocks");
    }

    /// What `giro verify` finds.
    pub async fn audit(&self) -> Report {
        let patience = Duration::from_secs(10);
        let connector = Connector::new(&self.server_url, patience, Duration::ZERO, patience);
        let report = verify(&connector.expect("a URL"), 100, &mut |_| ()).await;
        report.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asserts what must hold in every ledger at any time: the audit finds nothing, and balances and
    /// versions are the fold of what users see as entries.
    pub async fn assert_consistent(&self) {
        let report = self.audit().await;
        assert!(report.clean, "{report}");
        let folds = "SELECT count(*)
                       FROM giro.account_state s
                       LEFT JOIN (SELECT ledger, account AS id, count(*),
                                         sum(pending) FILTER (WHERE side = 'debit') AS debits_pending,
                                         sum(posted) FILTER (WHERE side = 'debit') AS debits_posted,
                                         sum(pending) FILTER (WHERE side = 'credit') AS credits_pending,
                                         sum(posted) FILTER (WHERE side = 'credit') AS credits_posted
                                    FROM giro.entries GROUP BY 1, 2) AS e USING (ledger, id)
                      WHERE s.debits_pending <> coalesce(e.debits_pending, 0)
                         OR s.debits_posted <> coalesce(e.debits_posted, 0)
                         OR s.credits_pending <> coalesce(e.credits_pending, 0)
                         OR s.credits_posted <> coalesce(e.credits_posted, 0)
                         OR s.version <> coalesce(e.count, 0)";
        assert_eq!(self.number(folds).await, 0, "a balance is not the fold of its entries");
    }
}

/// A session, with its driver in the background.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a session");
    tokio::spawn(connection);
    client
}
