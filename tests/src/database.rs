use crate::cluster::shared_url;
use giro_server::{Provisioned, provision};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};

const TEMPLATE: &str = "giro_template";

/// A database of one test, migrated.
pub struct TestDatabase {
    /// Of the role that owns the schema.
    pub owner_url: String,
    /// Of the role that the server logs in with.
    pub server_url: String,
    superuser_url: String,
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

    /// Asserts what must hold in every ledger at any time: debits equal credits, and every balance and
    /// version is the fold of its account's transfers.
    pub async fn assert_consistent(&self) {
        for (what, sql) in [
            (
                "debits and credits differ",
                "SELECT count(*) FROM (SELECT FROM giro.account_state GROUP BY ledger
                  HAVING sum(debits_posted) <> sum(credits_posted)
                      OR sum(debits_pending) <> sum(credits_pending)) AS wrong",
            ),
            (
                "a balance or a version is not the fold of the transfers",
                "SELECT count(*)
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
                     OR s.version <> coalesce(e.count, 0)",
            ),
            (
                "a batch's totals are not those of its decisions",
                "SELECT count(*)
                   FROM giro.batches b
                   LEFT JOIN (SELECT seq >> 16 AS id, count(*) FILTER (WHERE reason IS NULL) AS applied
                                FROM giro.decisions GROUP BY 1) AS d USING (id)
                  WHERE b.kind = 'transfers' AND b.applied <> coalesce(d.applied, 0)",
            ),
        ] {
            assert_eq!(self.number(sql).await, 0, "{what}");
        }
    }
}

/// A session, with its driver in the background.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a session");
    tokio::spawn(connection);
    client
}
