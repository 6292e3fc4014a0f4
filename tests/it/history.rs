//! Accounts with the flag `history` keep their balances after each change.

use crate::reading::column;
use giro_tests::{TestServer, eventually};
use serde_json::{Value, json};

async fn start() -> TestServer {
    let server = TestServer::start().await;
    let accounts = json!([{"id": 1, "flags": ["history"]}, {"id": 2}]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    server
}

async fn post(server: &TestServer, transfer: Value) -> Value {
    let reply = server.client.post("/transfer", &transfer).await;
    assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    reply.json
}

/// The four balances and the version.
fn balances(record: &Value) -> [&str; 5] {
    let fields =
        ["debits_pending", "debits_posted", "credits_pending", "credits_posted", "version"];
    fields.map(|field| record[field].as_str().unwrap_or_else(|| panic!("no {field}: {record}")))
}

#[tokio::test]
async fn the_balances_after_each_change_are_kept_also_after_an_expiry() {
    let server = start().await;
    let direct = post(&server, json!({"debit_account": 1, "credit_account": 2, "amount": 5})).await;
    post(&server, json!({"debit_account": 2, "credit_account": 1, "amount": 7})).await;
    let hold = json!({"id": 3, "debit_account": 1, "credit_account": 2, "amount": 4,
                      "flags": ["pending"]});
    post(&server, hold.clone()).await;
    post(&server, json!({"pending_id": 3, "flags": ["post_pending"], "amount": 3})).await;
    let mut expiring = hold;
    expiring["id"] = json!(4);
    expiring["timeout"] = json!(1);
    post(&server, expiring).await;
    eventually("the hold is released", async || {
        server.client.get("/accounts/1").await.json["debits_pending"] == "0"
    })
    .await;
    let all = server.client.pages("/accounts/1/balances?order=asc", "balances").await;
    let expected = [
        ["0", "5", "0", "0", "1"],
        ["0", "5", "0", "7", "2"],
        ["4", "5", "0", "7", "3"],
        ["0", "8", "0", "7", "4"],
        ["4", "8", "0", "7", "5"],
        ["0", "8", "0", "7", "6"],
    ];
    assert_eq!(all.iter().map(balances).collect::<Vec<_>>(), expected);
    assert_eq!((&all[0]["seq"], &all[0]["created_at"]), (&direct["seq"], &direct["created_at"]));
    assert_eq!(balances(&server.client.get("/accounts/1").await.json), expected[5]);
    let newest = server.client.pages("/accounts/1/balances?limit=4", "balances").await;
    assert!(column(&newest, "seq").iter().eq(column(&all, "seq").iter().rev()), "newest first");
    // A range of times or of seq.
    for (from, until) in [(0, 6), (1, 4), (2, 3), (3, 3)] {
        for field in ["seq", "created_at"] {
            let bound = |at: usize| all[at][field].as_str().unwrap_or_default();
            let names = if field == "seq" { ["seq_from", "seq_until"] } else { ["from", "until"] };
            let mut path = format!("/accounts/1/balances?order=asc&{}={}", names[0], bound(from));
            if until < 6 {
                path = format!("{path}&{}={}", names[1], bound(until));
            }
            let listed = server.client.pages(&path, "balances").await;
            assert_eq!(column(&listed, "seq"), column(&all[from..until], "seq"), "{path}");
        }
    }
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn the_balances_as_of_a_time_or_a_seq_are_those_of_the_last_change_before() {
    let server = start().await;
    let created = server.client.get("/accounts/1").await.json["created_at"].clone();
    let created = created.as_str().unwrap();
    let mut changes = Vec::new();
    for amount in [5, 6, 7] {
        let transfer = json!({"debit_account": 1, "credit_account": 2, "amount": amount});
        changes.push(post(&server, transfer).await);
    }
    let text = |at: usize, field: &str| changes[at][field].as_str().unwrap().to_owned();
    let seq = |at: usize| text(at, "seq").parse::<i64>().unwrap();
    let none = ["0", "0", "0", "0", "0"];
    let first = ["0", "5", "0", "0", "1"];
    let second = ["0", "11", "0", "0", "2"];
    let third = ["0", "18", "0", "0", "3"];
    for (at, expected) in [
        (created.to_owned(), none),
        (text(0, "created_at"), first),
        (just_before(&text(1, "created_at")), first),
        (text(1, "created_at"), second),
        (text(2, "created_at"), third),
        ("2200-01-01T00:00:00Z".into(), third),
        ("0".into(), none),
        ((seq(0) - 1).to_string(), none),
        (seq(0).to_string(), first),
        ((seq(1) - 1).to_string(), first),
        (seq(1).to_string(), second),
        (seq(2).to_string(), third),
        (i64::MAX.to_string(), third),
    ] {
        let reply = server.client.get(&format!("/accounts/1/balances?at={at}")).await;
        assert_eq!(reply.status, 200, "{at}: {}", reply.text);
        assert_eq!(balances(&reply.json), expected, "{at}");
        let place = (expected[4].parse::<usize>().unwrap()).checked_sub(1);
        let known = place.map(|place| &changes[place]["seq"]);
        assert_eq!(reply.json.get("seq"), known, "{at}");
        let since = place.map_or(created.to_owned(), |place| text(place, "created_at"));
        assert_eq!(reply.json["created_at"], since, "{at}");
    }
    let reply = server.client.get("/accounts/1/balances?at=2020-01-01T00:00:00Z").await;
    assert_eq!((reply.status.as_u16(), reply.outcome()), (404, ""), "{}", reply.text);
    assert!(reply.json["detail"].as_str().unwrap().contains("created after"), "{}", reply.text);
}

/// A microsecond earlier.
fn just_before(time: &str) -> String {
    let (second, micros) = time.trim_end_matches('Z').rsplit_once('.').expect("microseconds");
    match micros.parse::<u32>().expect("digits") {
        // The same moment written differently will do once in a million runs.
        0 => time.into(),
        micros => format!("{second}.{:06}Z", micros - 1),
    }
}

#[tokio::test]
async fn an_account_that_keeps_no_history_says_so() {
    let server = start().await;
    post(&server, json!({"debit_account": 1, "credit_account": 2, "amount": 5})).await;
    for (path, says) in [
        ("/accounts/2/balances", "history"),
        ("/accounts/2/balances?at=5", "history"),
        ("/accounts/3/balances", "no account"),
        ("/accounts/3/balances?at=5", "no account"),
        ("/accounts/1/balances?ledger=2", "no account"),
    ] {
        let reply = server.client.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.outcome()), (404, ""), "{path}: {}", reply.text);
        assert!(reply.json["detail"].as_str().unwrap().contains(says), "{path}: {}", reply.text);
    }
    let unused = json!({"id": 4, "flags": ["history"]});
    assert_eq!(server.client.post("/account", &unused).await.status, 200);
    let reply = server.client.get("/accounts/4/balances").await;
    assert_eq!(reply.json, json!({"balances": []}), "no change yet");
}
