//! The smallest situations in which each fault shows. What is found is returned.

use super::findings::{unknowns, untruths};
use super::subject::{Subject, WAITING, in_one_batch, lock, post, post_within, transfer};
use crate::direct;
use giro_ledger::ApplyTransfers;
use giro_tests::cluster::{self, alarming_line};
use giro_tests::database::connect;
use giro_tests::nemesis::{Halted, applying};
use giro_tests::{Fault, Proxy, Target, TestDatabase, eventually};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// What PostgreSQL refuses: by a trigger of the user's own, at once or at the commit.
async fn refuse_thirteen(database: &TestDatabase, trigger: &str) {
    let sql = format!(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN RAISE EXCEPTION ''thirteen''; END';
         CREATE {trigger} FOR EACH ROW WHEN (NEW.amount = 13) EXECUTE FUNCTION public.refuse()"
    );
    database.superuser().await.batch_execute(&sql).await.expect("a trigger");
}

/// The row comes, and then the commit fails.
pub(super) async fn a_commit_that_fails(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    let at_commit = "CONSTRAINT TRIGGER refuse AFTER INSERT ON giro.decisions
                     DEFERRABLE INITIALLY DEFERRED";
    refuse_thirteen(&database, at_commit).await;
    let server = subject.server(&database, &[]).await;
    let mut told = Vec::new();
    for (id, amount) in [(1, 12), (2, 13), (3, 14)] {
        told.push(post(server.client, transfer(id, 1, 2, amount)).await);
    }
    untruths(&database, &told).await
}

/// The backend that commits cannot sync the write-ahead log, and says PANIC. What it has written is there
/// after the recovery.
pub(super) async fn an_fsync_that_fails(subject: Subject) -> Vec<String> {
    let cluster = cluster::start(&[("wal_sync_method", "fdatasync")]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    let database = subject.on(database).await;
    let server = subject.server(&database, &[]).await;
    let mut told = vec![post(server.client, transfer(1, 1, 2, 1)).await];
    let lane = "SELECT pid::bigint FROM pg_stat_activity
                 WHERE application_name LIKE 'giro lane%' AND query LIKE '%apply_transfers%'";
    let lane = database.number(lane).await;
    let mut fault = tokio::process::Command::new("strace")
        .args(["-p", &lane.to_string(), "-e", "trace=fdatasync"])
        .args(["-e", "inject=fdatasync:error=EIO"])
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("strace");
    eventually("the backend is traced", async || {
        let status = std::fs::read_to_string(format!("/proc/{lane}/status")).expect("its status");
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    })
    .await;
    told.push(post(server.client, transfer(2, 1, 2, 1)).await);
    fault.wait().await.expect("it ends with the backend");
    eventually("it has recovered", async || connects(&database).await).await;
    let log = std::fs::read_to_string(cluster.log_path()).expect("the log");
    assert!(log.contains("PANIC:"), "nothing has happened: {log}");
    untruths(&database, &told).await
}

async fn connects(database: &TestDatabase) -> bool {
    tokio_postgres::connect(&database.owner_url, tokio_postgres::NoTls).await.is_ok()
}

/// A backend stands still, with a batch in it.
pub(super) async fn a_backend_that_hangs(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    let settings =
        [("GIRO__DATABASE__STATEMENT_TIMEOUT", "1s"), ("GIRO__DATABASE__LOCK_TIMEOUT", "1s")];
    let server = subject.server(&database, &settings).await;
    let holder = lock(&database, 1).await;
    let first = tokio::spawn(post(server.client, transfer(1, 1, 2, 1)));
    let halted = Halted::new(applying(&database, "wait_event_type = 'Lock'").await);
    holder.batch_execute("ROLLBACK").await.expect("the lock is released");
    // Far longer than a hanging session may take to be found.
    let next = post_within(server.client, Duration::from_secs(10), transfer(2, 3, 4, 1)).await;
    let answered = next.reply.outcome() == "applied";
    drop(halted);
    let told = [first.await.expect("what was told"), next];
    let mut found = untruths(&database, &told).await;
    if !answered {
        found.push("nothing is applied as long as one backend hangs".into());
    }
    found
}

/// Two callers in one batch, with different results.
pub(super) async fn one_applied_and_one_refused(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    let server = subject.server(&database, &WAITING).await;
    let transfers = vec![transfer(1, 1, 2, 1), transfer(2, 9, 2, 1)];
    let told = in_one_batch(&server, &database, transfers).await;
    untruths(&database, &told).await
}

/// The session is lost when PostgreSQL has the whole batch: it commits, and the batch is sent again.
pub(super) async fn a_cut_behind_the_commit(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    let proxy = Proxy::start(&database.server_url, Target::LANES).await;
    let server = subject.server_at(proxy.url(), &[]).await;
    proxy.arm(Fault::CutAfterSync);
    let told = [post(server.client, transfer(1, 1, 2, 1)).await];
    assert_eq!(proxy.fired(Fault::CutAfterSync), 1, "nothing was cut");
    untruths(&database, &told).await
}

/// An id is refused for want of money, and comes again when there is some.
pub(super) async fn a_refusal_and_then_money(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    let server = subject.server(&database, &[]).await;
    let mut told = Vec::new();
    for transfer in [transfer(1, 9, 2, 1), transfer(2, 1, 9, 1), transfer(1, 9, 2, 1)] {
        told.push(post(server.client, transfer).await);
    }
    untruths(&database, &told).await
}

/// One more than there is.
pub(super) async fn a_debit_of_one_too_much(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    let server = subject.server(&database, &[]).await;
    let mut told = Vec::new();
    for transfer in [transfer(1, 1, 9, 10), transfer(2, 9, 1, 11)] {
        told.push(post(server.client, transfer).await);
    }
    untruths(&database, &told).await
}

/// One server's batch needs the accounts 1, 2 and 3, and gets to 2 only later; another's needs 3 and 1.
pub(super) async fn two_batches_that_meet(subject: Subject) -> Vec<String> {
    // Of its own: nobody may wait in a circle in the one that all tests share.
    let cluster = cluster::start(&[("deadlock_timeout", "100ms")]);
    let database = TestDatabase::at(&|user, name| cluster.url(user, name)).await;
    let database = subject.on(database).await;
    let servers =
        [subject.server(&database, &WAITING).await, subject.server(&database, &WAITING).await];
    let holder = lock(&database, 2).await;
    let [one, other] = [servers[0].client, servers[1].client];
    let both = json!([transfer(1, 1, 2, 1), transfer(2, 2, 3, 1)]);
    let first = tokio::spawn(async move { one.post("/transfers", &both).await });
    until_blocked(&database, 1).await;
    let second = tokio::spawn(post(other, transfer(3, 3, 1, 1)));
    until_blocked(&database, 2).await;
    holder.batch_execute("ROLLBACK").await.expect("the lock is released");
    let first = first.await.expect("an answer");
    assert_eq!(first.status, 200, "{}", first.text);
    second.await.expect("what was told");
    alarming_line(&cluster).into_iter().collect()
}

async fn until_blocked(database: &TestDatabase, batches: i64) {
    let blocked = "SELECT count(*) FROM pg_stat_activity
                    WHERE wait_event_type = 'Lock' AND query LIKE '%FROM giro.apply_transfers%'";
    eventually("batches wait", async || database.number(blocked).await == batches).await;
}

/// PostgreSQL refuses one of those who are in a batch.
pub(super) async fn one_of_four_that_cannot_be_stored(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    refuse_thirteen(&database, "TRIGGER refuse BEFORE INSERT ON giro.decisions").await;
    let server = subject.server(&database, &WAITING).await;
    let transfers = [11, 12, 13, 14].map(|amount| transfer(amount, 1, 2, amount));
    let told = in_one_batch(&server, &database, transfers.into()).await;
    [untruths(&database, &told).await, unknowns(&told)].concat()
}

/// A batch that its server has given up gets its lock.
pub(super) async fn a_lock_that_outlasts_a_fence(subject: Subject) -> Vec<String> {
    let database = subject.database().await;
    drop(subject.server(&database, &[]).await);
    let holder = lock(&database, 1).await;
    let fence = SystemTime::now() + Duration::from_secs(2);
    let session = connect(&database.server_url).await;
    let requests = [vec![direct::transfer(transfer(1, 1, 2, 1))]];
    let (_, absent) =
        tokio::join!(direct::call::<ApplyTransfers>(&session, &requests, Some(fence)), async {
            direct::until_blocked(&database).await;
            direct::until(fence).await;
            // From now on a read is the last word: whatever was sent cannot be applied any more.
            let absent = database.number("SELECT count(*) FROM giro.decisions").await == 0;
            holder.batch_execute("ROLLBACK").await.expect("the lock is released");
            absent
        });
    assert!(absent, "it did not wait");
    match database.number("SELECT count(*) FROM giro.decisions").await {
        0 => Vec::new(),
        _ => vec!["it is applied after it was known that it would not be".into()],
    }
}
