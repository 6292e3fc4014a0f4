//! Listings: a page never skips or repeats, whatever is added meanwhile, and never waits for a batch.

use crate::stalled::Stalled;
use giro_tests::{Client, ServerProcess, TestDatabase, TestServer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

/// A field of each item.
pub(crate) fn column<'a>(items: &'a [Value], field: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[field].as_str().unwrap_or_default()).collect()
}

/// The ids that a query gives.
pub(crate) async fn ids(database: &TestDatabase, sql: &str) -> Vec<String> {
    let rows = database.superuser().await.query(sql, &[]).await.expect(sql);
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_pages_of_a_listing_hold_everything_once_and_in_order() {
    let server = TestServer::start().await;
    let accounts: Vec<_> = (1..=23).map(|id| json!({"id": id, "flags": ["history"]})).collect();
    assert_eq!(server.client.post("/accounts", &json!(accounts)).await.status, 200);
    for i in 0..23_u64 {
        let (debit, credit) = if i % 3 == 0 { (1, 2 + i % 5) } else { (2 + i % 5, 1) };
        let transfer = json!({"debit_account": debit, "credit_account": credit, "amount": i});
        assert_eq!(server.client.post("/transfer", &transfer).await.status, 200);
    }
    let account = "'00000000-0000-0000-0000-000000000001'";
    for (path, items, field, sql) in [
        (
            "/transfers",
            "transfers",
            "id",
            "SELECT id::text FROM giro.transfers ORDER BY seq".into(),
        ),
        (
            "/accounts/1/transfers",
            "transfers",
            "id",
            format!(
                "SELECT id::text FROM giro.transfers WHERE {account} IN (debit_account, credit_account) ORDER BY seq"
            ),
        ),
        (
            "/accounts",
            "accounts",
            "id",
            "SELECT t.id::text FROM giro.accounts t ORDER BY t.id".into(),
        ),
        (
            "/accounts/1/balances",
            "balances",
            "seq",
            format!(
                "SELECT t.seq::text FROM giro.account_balances t WHERE account = {account} ORDER BY t.seq"
            ),
        ),
    ] {
        let mut expected = ids(&server.database, &sql).await;
        assert_eq!(expected.len(), 23, "{path}");
        for order in ["asc", "desc"] {
            for limit in [1, 7, 22, 23, 24, 1000] {
                let path = format!("{path}?order={order}&limit={limit}");
                let all = server.client.pages(&path, items).await;
                assert_eq!(column(&all, field), expected, "{path}");
            }
            expected.reverse();
        }
    }
    let first = server.client.get("/transfers?limit=23").await;
    assert_eq!(first.json.get("next_cursor"), None, "nothing is left: {}", first.text);
    let newest = server.client.get("/transfers?limit=1").await.json;
    assert_eq!(newest["transfers"][0]["amount"], "22", "the newest first");
    let first = server.client.get("/accounts?limit=1").await.json;
    assert!(first["accounts"][0]["id"].as_str().unwrap().ends_with("-000000000001"), "{first}");
}

/// Adds transfers between few accounts by several callers, until it is told to stop.
fn keep_adding(client: Client, writers: &mut JoinSet<()>, enough: &Arc<AtomicBool>) {
    for caller in 0..2_u64 {
        let enough = enough.clone();
        writers.spawn(async move {
            let mut i = caller;
            while !enough.load(Ordering::Relaxed) {
                // Some batches share accounts and some do not: those run at the same time.
                let debit = 1 + i % 6;
                let transfer = json!({"debit_account": debit, "credit_account": debit + 1 + i % 3, "amount": 1});
                let reply = client.post("/transfers", &json!([transfer, transfer])).await;
                assert_eq!(reply.status, 200, "{}", reply.text);
                i += 1;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_while_two_servers_add_transfers() {
    let database = TestDatabase::new().await;
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let one = ServerProcess::start(program, &database).await;
    let two = ServerProcess::start(program, &database).await;
    let accounts: Vec<_> = (1..=12).map(|id| json!({"id": id, "flags": ["history"]})).collect();
    assert_eq!(one.client.post("/accounts", &json!(accounts)).await.status, 200);
    let enough = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    keep_adding(one.client, &mut writers, &enough);
    keep_adding(two.client, &mut writers, &enough);

    // Whoever goes on behind the last one that was there misses none.
    let mut followed: Vec<Value> = Vec::new();
    while followed.len() < 700 {
        let from = followed.last().map_or(0, |last| 1 + number(&last["seq"]));
        let path = format!("/transfers?order=asc&limit=40&seq_from={from}");
        followed.extend(two.client.pages(&path, "transfers").await);
    }
    // What was there when a listing began is in it, however much is added on the way.
    let mut listings = Vec::new();
    for (path, items) in [
        ("/transfers", "transfers"),
        ("/accounts/2/transfers", "transfers"),
        ("/accounts/2/balances", "balances"),
    ] {
        for order in ["asc", "desc"] {
            let all = one.client.pages(&format!("{path}?order={order}&limit=100"), items).await;
            listings.push((path, order, all));
        }
    }
    enough.store(true, Ordering::Relaxed);
    writers.join_all().await;

    let seqs = async |path: &str| match path {
        "/transfers" => {
            ids(&database, "SELECT t.seq::text FROM giro.transfers t ORDER BY t.seq").await
        }
        _ => {
            let sql = "SELECT t.seq::text FROM giro.account_balances t
                        WHERE account::text LIKE '%2' AND account::text NOT LIKE '%12' ORDER BY t.seq";
            ids(&database, sql).await
        }
    };
    let all = seqs("/transfers").await;
    assert_eq!(column(&followed, "seq"), all[..followed.len()]);
    for (path, order, listed) in listings {
        let mut listed = column(&listed, "seq");
        if order == "desc" {
            listed.reverse();
        }
        assert!(listed.len() > 50, "{path} {order}: {}", listed.len());
        assert_eq!(listed, seqs(path).await[..listed.len()], "{path} {order}");
    }
    database.assert_consistent().await;
}

fn number(seq: &Value) -> i64 {
    seq.as_str().and_then(|text| text.parse().ok()).expect("a decimal string")
}

/// A transfer by an application's own call.
fn call(id: u32, debit: u32, credit: u32) -> String {
    let uuid = |n: u32| format!("00000000-0000-0000-0000-{n:012x}");
    let (id, debit, credit) = (uuid(id), uuid(debit), uuid(credit));
    format!(
        "SELECT FROM giro.apply_transfers(shard => 0, token => 0, server => 'app', not_after => NULL,
            account_ledgers => '{{1,1}}', account_ids => '{{{debit},{credit}}}', ids => '{{{id}}}',
            ledgers => '{{1}}', debit_accounts => '{{1}}', credit_accounts => '{{2}}',
            amounts => '{{5}}', codes => '{{1}}', flags => '{{0}}', pending_ids => NULL,
            timeouts => NULL, \"references\" => NULL, metadatas => NULL, timestamps => NULL,
            expect_debit_versions => NULL, expect_credit_versions => NULL, chain_scopes => NULL,
            requests => NULL)"
    )
}

#[tokio::test]
async fn a_listing_waits_at_a_batch_that_is_still_open_and_then_goes_on_with_it() {
    let server = TestServer::start().await;
    server.accounts(6).await;
    let client = &server.client;
    let post = async |id: u32| {
        let transfer = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        assert_eq!(client.post("/transfer", &transfer).await.status, 200);
    };
    let listed = async |path: &str| {
        let all = client.pages(path, "transfers").await;
        let ends = column(&all, "id").into_iter().map(|id| id[34..].to_owned());
        ends.collect::<Vec<_>>()
    };
    post(0x11).await;
    let application = server.database.superuser().await;
    application.batch_execute("BEGIN").await.unwrap();
    application.batch_execute(&call(0x12, 3, 4)).await.unwrap();
    post(0x13).await;
    assert_eq!(listed("/transfers?order=asc").await, ["11"], "13 comes after 12");
    assert_eq!(listed("/transfers?order=desc").await, ["11"]);
    assert_eq!(listed("/accounts/1/transfers?order=asc").await, ["11", "13"], "12 is of others");
    assert_eq!(client.get("/transfers/19").await.status, 200, "it is there nevertheless");
    application.batch_execute("COMMIT").await.unwrap();
    assert_eq!(listed("/transfers?order=asc&limit=1").await, ["11", "12", "13"]);
    // One that comes to nothing holds up nothing either.
    application.batch_execute("BEGIN").await.unwrap();
    application.batch_execute(&call(0x14, 3, 4)).await.unwrap();
    post(0x15).await;
    application.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(listed("/transfers?order=desc&limit=2").await, ["15", "13", "12", "11"]);
}

#[tokio::test]
async fn accounts_that_were_there_are_listed_once_while_others_are_created() {
    let server = TestServer::start().await;
    let accounts: Vec<_> = (0..500).map(|_| json!({})).collect();
    assert_eq!(server.client.post("/accounts", &json!(accounts)).await.status, 200);
    let before =
        ids(&server.database, "SELECT t.id::text FROM giro.accounts t ORDER BY t.id").await;
    let enough = Arc::new(AtomicBool::new(false));
    let (client, done) = (server.client, enough.clone());
    let creator = tokio::spawn(async move {
        let mut id: u128 = 1;
        while !done.load(Ordering::Relaxed) {
            // All over the range of ids.
            id = id.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(7);
            let reply = client.post("/account", &json!({"id": id.to_string()})).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
    });
    for order in ["asc", "desc"] {
        let all = client.pages(&format!("/accounts?order={order}&limit=20"), "accounts").await;
        let mut listed = column(&all, "id");
        if order == "desc" {
            listed.reverse();
        }
        assert!(listed.is_sorted_by(|one, next| one < next), "{order}");
        assert!(before.iter().all(|id| listed.contains(&&id[..])), "{order}");
    }
    enough.store(true, Ordering::Relaxed);
    creator.await.unwrap();
}

#[tokio::test]
async fn a_read_is_answered_while_every_lane_waits_for_a_row() {
    let stalled = Stalled::new().await;
    for path in [
        "/accounts/1",
        "/transfers/1001",
        "/transfers",
        "/accounts",
        "/accounts/1/transfers?side=debit",
    ] {
        let reply = stalled.server.client.get(path).await;
        assert_eq!(reply.status, if path == "/transfers/1001" { 404 } else { 200 }, "{path}");
    }
    stalled.go_on().await;
    for sent in stalled.in_flight {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
}

#[tokio::test]
async fn a_cursor_is_of_one_listing_only() {
    let server = TestServer::start().await;
    server.accounts(3).await;
    for id in 1..=3 {
        let transfer = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1});
        assert_eq!(server.client.post("/transfer", &transfer).await.status, 200);
    }
    let cursor = server.client.get("/transfers?limit=1&code=1").await.json["next_cursor"].clone();
    let cursor = cursor.as_str().expect("there is more");
    let goes_on = format!("/transfers?code=1&limit=2&cursor={cursor}");
    assert_eq!(server.client.get(&goes_on).await.json["transfers"].as_array().unwrap().len(), 2);
    let of_seven = server.client.get("/accounts?limit=1").await.json["next_cursor"].clone();
    let of_seven = of_seven.as_str().expect("there is more");
    for path in [
        format!("/transfers?cursor={cursor}"),
        format!("/transfers?code=2&cursor={cursor}"),
        format!("/transfers?code=1&order=asc&cursor={cursor}"),
        format!("/transfers?code=1&ledger=2&cursor={cursor}"),
        format!("/accounts/1/transfers?code=1&cursor={cursor}"),
        format!("/transfers?cursor={of_seven}"),
        format!("/transfers?code=1&cursor={}", &cursor[1..]),
        format!("/transfers?code=1&cursor=x{}", &cursor[1..]),
        "/transfers?cursor=".into(),
        "/transfers?cursor=1".into(),
    ] {
        let reply = server.client.get(&path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text);
        assert_eq!(reply.json["field"], "cursor", "{path}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_page_ends_early_where_metadata_is_large() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let wide = json!({"k": "x".repeat(4000)});
    let transfer = json!({"debit_account": 1, "credit_account": 2, "amount": 1, "metadata": wide});
    for _ in 0..3 {
        let reply = server.client.post("/transfers", &json!(vec![transfer.clone(); 120])).await;
        assert_eq!(reply.status, 200, "{:.300}", reply.text);
    }
    let first = server.client.get("/transfers?limit=1000").await;
    assert!((1_000_000..2_000_000).contains(&first.text.len()), "{}", first.text.len());
    let all = server.client.pages("/transfers?limit=1000", "transfers").await;
    let mut seqs = column(&all, "seq");
    seqs.dedup();
    assert_eq!(seqs.len(), 360);
}

#[tokio::test]
async fn a_hold_says_what_became_of_it() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    let client = &server.client;
    let post = async |transfer: Value| {
        let reply = client.post("/transfer", &transfer).await;
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
        reply.json
    };
    for id in [1, 2, 3, 4] {
        let hold = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 10,
                          "flags": ["pending"], "timeout": if id == 4 { 1 } else { 0 }});
        assert_eq!(post(hold.clone()).await["state"], "pending");
        let replay = post(hold).await;
        assert_eq!((&replay["replayed"], replay.get("state")), (&json!(true), None), "not known");
    }
    post(json!({"id": 5, "pending_id": 2, "flags": ["post_pending"], "amount": 3})).await;
    post(json!({"id": 6, "pending_id": 3, "flags": ["void_pending"]})).await;
    giro_tests::eventually("the fourth is over", async || {
        client.get("/transfers/4").await.json["state"] == "expired"
    })
    .await;
    let all = client.get("/transfers?order=asc").await.json;
    let states: Vec<_> =
        all["transfers"].as_array().unwrap().iter().map(|t| t.get("state")).collect();
    let state = |name: &str| Some(json!(name));
    let expected =
        [state("pending"), state("posted"), state("voided"), state("expired"), None, None];
    assert_eq!(states, expected.each_ref().map(Option::as_ref));
    for (id, state) in [(1, "pending"), (2, "posted"), (3, "voided")] {
        assert_eq!(client.get(&format!("/transfers/{id}")).await.json["state"], state);
    }
}
