//! Holds are released at their deadline, once, by whichever server gets there first.

use giro_tests::{TestServer, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

async fn hold(server: &TestServer, id: u32, timeout: u32, flags: &[&str]) {
    let flags = [&["pending"], flags].concat();
    let hold = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 10,
                      "flags": flags, "timeout": timeout});
    let reply = server.client.post("/transfer", &hold).await;
    assert_eq!(reply.outcome(), "applied", "{}", reply.text);
}

#[tokio::test]
async fn a_hold_is_released_within_two_seconds_of_its_deadline_and_never_early() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    hold(&server, 7, 1, &["closing_credit"]).await;
    let account = server.client.get("/accounts/2").await.json;
    assert_eq!(
        (&account["credits_pending"], &account["flags"]),
        (&json!("10"), &json!(["closed"]))
    );
    eventually("the hold is released", async || {
        server.client.get("/accounts/1").await.json["debits_pending"] == "0"
    })
    .await;
    let late = "SELECT (extract(epoch FROM e.created_at - d.created_at) * 1000)::bigint - 1000
                  FROM giro.expirations e JOIN giro.decisions d USING (ledger, id)";
    let late = server.database.number(late).await;
    assert!((0..2000).contains(&late), "released {late} ms after its deadline");
    let account = server.client.get("/accounts/2").await.json;
    assert_eq!((&account["version"], &account["flags"]), (&json!("2"), &json!([])), "open again");
    let post = json!({"id": 8, "pending_id": 7, "flags": ["post_pending"]});
    let reply = server.client.post("/transfer", &post).await;
    assert_eq!(reply.reason(), "pending_transfer_expired");
    assert_eq!(server.database.number("SELECT count(*) FROM giro.open_holds").await, 0);
    assert_eq!(server.metric("giro_holds_expired_total").await, 1.0);
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_post_after_the_deadline_is_refused_though_nothing_was_released_yet() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    // What is held up here is the release, not the callers.
    let holder = server.database.superuser().await;
    holder.batch_execute("SELECT pg_advisory_lock(1734963813)").await.unwrap();
    hold(&server, 7, 1, &[]).await;
    let over = Instant::now() + Duration::from_millis(1001);
    tokio::time::sleep_until(over.into()).await;
    let post = json!({"id": 8, "pending_id": 7, "flags": ["post_pending"]});
    let reply = server.client.post("/transfer", &post).await;
    assert_eq!(reply.reason(), "pending_transfer_expired", "{}", reply.text);
    let account = server.client.get("/accounts/1").await.json;
    assert_eq!(account["debits_pending"], "10", "it is not released yet");
    holder.batch_execute("SELECT pg_advisory_unlock(1734963813)").await.unwrap();
    eventually("the hold is released", async || {
        server.client.get("/accounts/1").await.json["debits_pending"] == "0"
    })
    .await;
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn servers_and_direct_calls_release_each_hold_once() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let holds: Vec<_> = (100..1000)
        .map(|id| {
            json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1,
                         "flags": ["pending"], "timeout": 1 + id % 2})
        })
        .collect();
    let reply = server.client.post("/transfers", &json!(holds)).await;
    assert_eq!(reply.status, 200, "{:.200}", reply.text);
    let voids: Vec<_> = (100..1000)
        .step_by(3)
        .map(|id| json!({"id": id + 10_000, "pending_id": id, "flags": ["void_pending"]}))
        .collect();
    let dba = server.database.superuser().await;
    let calls = async {
        for _ in 0..200 {
            dba.execute("SELECT giro.expire_holds(0, 'dba', 7)", &[]).await.unwrap();
        }
    };
    let path = "/transfers";
    let (reply, ()) = tokio::join!(async { server.client.post(path, &json!(voids)).await }, calls);
    assert_eq!(reply.status, 200, "{:.200}", reply.text);
    eventually("every hold is gone", async || {
        server.client.get("/accounts/1").await.json["debits_pending"] == "0"
    })
    .await;
    let resolved = "SELECT (SELECT count(*) FROM giro.expirations)
                         + (SELECT count(*) FROM giro.transfers WHERE pending_id IS NOT NULL)";
    assert_eq!(server.database.number(resolved).await, 900);
    assert_eq!(server.client.get("/accounts/2").await.json["version"], "1800");
    server.database.assert_no_deadlock().await;
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn an_account_that_somebody_keeps_locked_delays_its_own_holds_only() {
    let server = TestServer::start().await;
    server.accounts(4).await;
    let holder = server.database.superuser().await;
    // None is released before the account is locked.
    holder.batch_execute("SELECT pg_advisory_lock(1734963813)").await.unwrap();
    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    // More than one call takes, all due before the others.
    let holds = |ids: std::ops::Range<u32>, debit: u32, timeout: u32| -> Vec<_> {
        let hold = |id| {
            json!({"id": id, "debit_account": debit, "credit_account": debit + 1, "amount": 1,
                   "flags": ["pending"], "timeout": timeout})
        };
        ids.map(hold).collect()
    };
    for holds in [holds(1000..1600, 1, 1), holds(2000..2020, 3, 2), holds(3000..3001, 2, 2)] {
        let reply = server.client.post("/transfers", &json!(holds)).await;
        assert_eq!(reply.status, 200, "{:.200}", reply.text);
    }
    holder.batch_execute(lock).await.unwrap();
    holder.batch_execute("SELECT pg_advisory_unlock(1734963813)").await.unwrap();
    let pending = async |account: u32| {
        let account = server.client.get(&format!("/accounts/{account}")).await.json;
        account["debits_pending"].as_str().unwrap().parse::<u32>().unwrap()
    };
    eventually("the others are released", async || (pending(3).await, pending(2).await) == (0, 0))
        .await;
    assert_eq!(pending(1).await, 600, "these wait");
    let metric = "giro_expiry_failures_total";
    assert_eq!(server.metric(metric).await, 0.0, "waiting is no failure");
    holder.batch_execute("ROLLBACK").await.unwrap();
    eventually("these as well", async || pending(1).await == 0).await;
    server.database.assert_no_deadlock().await;
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_call_that_fails_costs_no_session() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let dba = server.database.superuser().await;
    let session = "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'giro expiry'";
    eventually("it has a session", async || server.database.number(session).await > 0).await;
    let before = server.database.number(session).await;
    dba.batch_execute("REVOKE EXECUTE ON FUNCTION giro.expire_holds FROM giro_server")
        .await
        .unwrap();
    hold(&server, 7, 1, &[]).await;
    eventually("it fails more than once", async || {
        server.metric("giro_expiry_failures_total").await >= 2.0
    })
    .await;
    dba.batch_execute("GRANT EXECUTE ON FUNCTION giro.expire_holds TO giro_server").await.unwrap();
    eventually("the hold is released", async || {
        server.client.get("/accounts/1").await.json["debits_pending"] == "0"
    })
    .await;
    assert_eq!(server.database.number(session).await, before, "the same session");
}
