//! A call that was given up does nothing when it wakes, and a call of nothing shows that a commit passes.

use crate::direct::{apply, call, sqlstate, transfer, until, until_blocked};
use crate::replies::altered;
use giro_ledger::{ApplyTransfers, ArrayCall, CreateAccounts, NewAccount, Transfer};
use giro_tests::{TestDatabase, TestServer, database::connect};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio_postgres::Client;

/// Rows that calls have left.
async fn rows(database: &TestDatabase) -> [i64; 3] {
    let count =
        async |table: &str| database.number(&format!("SELECT count(*) FROM giro.{table}")).await;
    [count("account_state").await, count("decisions").await, count("batches").await]
}

fn pay(id: u32, debit: u32, credit: u32) -> Transfer {
    transfer(json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": 1}))
}

fn account(id: u32) -> NewAccount {
    let json: Value = json!({"id": id});
    NewAccount::new(serde_json::from_str(&json.to_string()).expect("an account's fields"))
        .expect("an account")
}

/// Makes a call that `holder` keeps waiting until its fence has passed, by what it has done in an open
/// transaction; then lets it go on. The SQLSTATE that it ends with.
async fn zombie<C: ArrayCall>(database: &TestDatabase, holder: &Client, item: C::Item) -> String {
    let fence = SystemTime::now() + Duration::from_millis(500);
    let session = connect(&database.server_url).await;
    let requests = [vec![item]];
    let (result, ()) = tokio::join!(call::<C>(&session, &requests, Some(fence)), async {
        until_blocked(database).await;
        until(fence).await;
        holder.batch_execute("ROLLBACK").await.expect("the lock is released");
    });
    sqlstate(result.map(|verdicts| verdicts.len()))
}

#[tokio::test]
async fn a_call_that_got_what_it_waited_for_too_late_does_nothing() {
    let server = TestServer::start().await;
    server.accounts(4).await;
    let database = &server.database;
    let before = rows(database).await;
    let holder = database.superuser().await;

    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    holder.batch_execute(lock).await.unwrap();
    assert_eq!(
        zombie::<ApplyTransfers>(database, &holder, pay(7, 1, 2)).await,
        "GR001",
        "an account"
    );

    // Nobody else holds its accounts: it waits for the id alone.
    holder.batch_execute("BEGIN").await.unwrap();
    assert_eq!(apply(&holder, &[vec![pay(7, 3, 4)]]).await.unwrap(), ["applied"]);
    assert_eq!(zombie::<ApplyTransfers>(database, &holder, pay(7, 1, 2)).await, "GR001", "an id");

    holder.batch_execute("BEGIN").await.unwrap();
    call::<CreateAccounts>(&holder, &[vec![account(9)]], None).await.unwrap();
    assert_eq!(
        zombie::<CreateAccounts>(database, &holder, account(9)).await,
        "GR001",
        "an account's id"
    );

    assert_eq!(rows(database).await, before, "nothing remains");
    let soon = Some(SystemTime::now() + Duration::from_secs(60));
    let session = connect(&database.server_url).await;
    call::<ApplyTransfers>(&session, &[vec![pay(7, 1, 2)]], soon).await.unwrap();
    call::<CreateAccounts>(&session, &[vec![account(9)]], soon).await.unwrap();
    assert_eq!(rows(database).await, [before[0] + 1, before[1] + 1, before[2] + 2]);
    database.assert_consistent().await;
}

#[tokio::test]
async fn a_call_of_nothing_commits_its_row_and_answers_nothing() {
    let database = TestDatabase::new().await;
    let session = connect(&database.server_url).await;
    assert_eq!(call::<ApplyTransfers>(&session, &[], None).await.unwrap(), []);
    assert_eq!(call::<CreateAccounts>(&session, &[], None).await.unwrap(), []);
    assert_eq!(call::<ApplyTransfers>(&session, &[vec![]], None).await.unwrap(), []);
    let batches =
        "SELECT array_agg(concat_ws(' ', kind, items, applied, rejected, replayed) ORDER BY id)
                     FROM giro.batch_log";
    let batches: Vec<String> = session.query_one(batches, &[]).await.unwrap().get(0);
    assert_eq!(batches, ["transfers 0 0 0 0", "accounts 0 0 0 0", "transfers 0 0 0 0"]);
    // What was in its columns is of no account.
    let nulls = "SELECT num_nulls(result_ids, reasons, replayed, seqs, result_amounts, created_ats)::bigint
                   FROM giro.apply_transfers(0, 1, '', NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}',
                        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')";
    assert_eq!(session.query_one(nulls, &[]).await.unwrap().get::<_, i64>(0), 0);
    let late = Some(SystemTime::now() - Duration::from_secs(60));
    for result in [
        call::<ApplyTransfers>(&session, &[], late).await.map(|_| ()),
        call::<CreateAccounts>(&session, &[], late).await.map(|_| ()),
    ] {
        assert_eq!(sqlstate(result), "GR001");
    }
    database.assert_consistent().await;
}

#[tokio::test]
async fn chains_too_many_for_one_batch_are_refused_by_a_state_of_their_own_and_pass_apart() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let hold = |id: u32, flags: &[&str]| {
        transfer(
            json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1, "flags": flags}),
        )
    };
    let chain = |first: u32| {
        let linked = (first..first + 2).map(|id| hold(id, &["pending", "linked"]));
        linked.chain([hold(first + 2, &["pending"])]).collect::<Vec<_>>()
    };
    let session = connect(&server.database.server_url).await;
    let made = apply(&session, &[chain(10), chain(20)]).await.unwrap();
    assert_eq!(made, ["applied"; 6]);
    altered(&server.database, "IF n_seqs > 65535", "IF n_seqs > 5").await;
    let post = |id: u32, first: u32| {
        vec![transfer(
            json!({"id": id, "pending_id": first, "scope": "chain", "flags": ["post_pending"]}),
        )]
    };
    let both = [post(30, 10), post(31, 20)];
    assert_eq!(sqlstate(apply(&session, &both).await), "54000");
    for one in both.chunks(1) {
        assert_eq!(apply(&session, one).await.unwrap(), ["applied"]);
    }
    server.database.assert_consistent().await;
}
