//! What a listing can be narrowed by, and what it refuses.

use crate::reading::column;
use giro_tests::{TestDatabase, TestServer};
use serde_json::{Value, json};

/// The last digits of the ids that a listing gives, in its order.
async fn listed(server: &TestServer, path: &str) -> Vec<u32> {
    let items = if path.starts_with("/accounts?") { "accounts" } else { "transfers" };
    let all = server.client.pages(path, items).await;
    column(&all, "id").iter().map(|id| id[24..].parse().expect("a small id")).collect()
}

async fn post(server: &TestServer, transfer: Value) -> Value {
    let reply = server.client.post("/transfer", &transfer).await;
    assert_eq!(reply.outcome(), "applied", "{}", reply.text);
    reply.json
}

#[tokio::test]
async fn each_filter_shows_only_what_it_names() {
    let server = TestServer::start().await;
    server.accounts(3).await;
    let in_two = json!([{"id": 1, "ledger": 2}, {"id": 2, "ledger": 2}]);
    assert_eq!(server.client.post("/accounts", &in_two).await.status, 200);
    let transfer = |id: u32, debit: u32, credit: u32, more: Value| {
        let mut transfer =
            json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": 10});
        transfer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        transfer
    };
    let mut seqs = Vec::new();
    let mut times = Vec::new();
    for transfer in [
        transfer(1, 1, 2, json!({"code": 7})),
        transfer(2, 2, 1, json!({"reference": "a b&c=d"})),
        transfer(3, 2, 3, json!({"metadata": {"order": 5, "kind": "fee"}})),
        transfer(4, 1, 2, json!({"flags": ["pending"]})),
        json!({"id": 5, "pending_id": 4, "flags": ["post_pending"], "amount": 4}),
        transfer(6, 3, 1, json!({"code": 7, "reference": "a b&c=d", "metadata": {"order": 6}})),
        transfer(7, 1, 2, json!({"ledger": 2})),
    ] {
        let applied = post(&server, transfer).await;
        seqs.push(applied["seq"].as_str().unwrap().to_owned());
        times.push(applied["created_at"].as_str().unwrap().to_owned());
    }
    let reference = "reference=a%20b%26c%3Dd";
    for (query, expected) in [
        (String::new(), vec![1, 2, 3, 4, 5, 6]),
        ("&ledger=2".into(), vec![7]),
        ("&ledger=3".into(), vec![]),
        ("&code=7".into(), vec![1, 6]),
        ("&code=8".into(), vec![]),
        (format!("&{reference}"), vec![2, 6]),
        (format!("&{reference}&code=7"), vec![6]),
        ("&pending_id=4".into(), vec![5]),
        ("&pending_id=4&code=7".into(), vec![]),
        ("&pending_id=4&ledger=2".into(), vec![]),
        ("&pending_id=1".into(), vec![]),
        (format!("&seq_from={}", seqs[2]), vec![3, 4, 5, 6]),
        (format!("&seq_until={}", seqs[2]), vec![1, 2]),
        (format!("&seq_from={}&seq_until={}", seqs[1], seqs[4]), vec![2, 3, 4]),
        (format!("&seq_from={}&seq_until={}", seqs[4], seqs[1]), vec![]),
        (format!("&from={}", times[3]), vec![4, 5, 6]),
        (format!("&until={}", times[3]), vec![1, 2, 3]),
        (format!("&from={}&until={}&code=1", times[1], times[4]), vec![2, 3, 4]),
        ("&until=2020-01-01T00:00:00Z".into(), vec![]),
        ("&from=2200-01-01T00:00:00Z".into(), vec![]),
        (format!("&pending_id=4&from={}", times[5]), vec![]),
    ] {
        let mut expected = expected.clone();
        assert_eq!(
            listed(&server, &format!("/transfers?order=asc{query}")).await,
            expected,
            "{query}"
        );
        expected.reverse();
        assert_eq!(
            listed(&server, &format!("/transfers?limit=1{query}")).await,
            expected,
            "{query}"
        );
    }
    for (query, expected) in [
        (String::new(), vec![1, 2, 4, 5, 6]),
        ("&side=debit".into(), vec![1, 4, 5]),
        ("&side=credit".into(), vec![2, 6]),
        ("&ledger=2".into(), vec![7]),
        ("&side=credit&code=7".into(), vec![6]),
        ("&pending_id=4".into(), vec![5]),
        ("&pending_id=4&side=debit".into(), vec![5]),
        ("&pending_id=4&side=credit".into(), vec![]),
        (format!("&{reference}"), vec![2, 6]),
        ("&metadata=%7B%22order%22:6%7D".into(), vec![6]),
        ("&metadata=%7B%7D".into(), vec![6]),
        (format!("&from={}&until={}", times[1], times[4]), vec![2, 4]),
        (format!("&side=debit&from={}", times[3]), vec![4, 5]),
        (format!("&seq_from={}", seqs[4]), vec![5, 6]),
    ] {
        let mut expected = expected.clone();
        let path = format!("/accounts/1/transfers?order=asc{query}");
        assert_eq!(listed(&server, &path).await, expected, "{query}");
        expected.reverse();
        let path = format!("/accounts/1/transfers?limit=1{query}");
        assert_eq!(listed(&server, &path).await, expected, "{query}");
    }
    for (path, id) in [("/accounts/9/transfers", 9), ("/accounts/3/transfers?ledger=2", 3)] {
        let reply = server.client.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.outcome()), (404, ""), "{id}: {}", reply.text);
    }
    let reply = server.client.get("/accounts/3/transfers?code=9").await;
    assert_eq!(reply.json, json!({"transfers": []}), "an account without such transfers");
}

#[tokio::test]
async fn accounts_are_found_by_what_they_are() {
    let server = TestServer::start().await;
    let mut times = Vec::new();
    for account in [
        json!({"id": 1, "code": 7, "flags": ["history"]}),
        json!({"id": 2, "reference": "x", "flags": ["history", "debits_must_not_exceed_credits"]}),
        json!({"id": 3, "code": 7, "reference": "x"}),
        json!({"id": 4, "ledger": 2, "code": 7}),
    ] {
        let reply = server.client.post("/account", &account).await;
        assert_eq!(reply.outcome(), "applied", "{}", reply.text);
        times.push(reply.json["created_at"].as_str().unwrap().to_owned());
    }
    for (query, expected) in [
        (String::new(), vec![1, 2, 3]),
        ("&ledger=2".into(), vec![4]),
        ("&code=7".into(), vec![1, 3]),
        ("&reference=x".into(), vec![2, 3]),
        ("&reference=x&code=7".into(), vec![3]),
        ("&flags=history".into(), vec![1, 2]),
        ("&flags=history,debits_must_not_exceed_credits".into(), vec![2]),
        (format!("&from={}", times[1]), vec![2, 3]),
        (format!("&until={}", times[1]), vec![1]),
    ] {
        let mut expected = expected.clone();
        assert_eq!(
            listed(&server, &format!("/accounts?limit=1{query}")).await,
            expected,
            "{query}"
        );
        expected.reverse();
        assert_eq!(
            listed(&server, &format!("/accounts?order=desc{query}")).await,
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn metadata_is_searched_where_an_index_allows_it() {
    let server = TestServer::start().await;
    let accounts =
        json!([{"id": 1, "metadata": {"a": 1, "b": 2}}, {"id": 2, "metadata": {"a": 2}}]);
    assert_eq!(server.client.post("/accounts", &accounts).await.status, 200);
    for id in 1..=3 {
        let metadata = json!({"order": {"id": id}, "kind": "fee"});
        let transfer = json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1, "metadata": metadata});
        post(&server, transfer).await;
    }
    let order = "/transfers?metadata=%7B%22order%22:%7B%22id%22:2%7D%7D";
    let account = "/accounts?metadata=%7B%22a%22:1%7D";
    let dba = server.database.superuser().await;
    for (path, expected) in [(order, 2), (account, 1)] {
        let reply = server.client.get(path).await;
        assert_eq!((reply.status.as_u16(), &reply.json["field"]), (400, &json!("metadata")));
        let detail = reply.json["detail"].as_str().unwrap();
        let statement = &detail[detail.find("CREATE INDEX").expect("what makes one")..];
        dba.batch_execute(statement).await.unwrap();
        assert_eq!(listed(&server, path).await, [expected]);
    }
    assert_eq!(
        listed(&server, "/transfers?order=asc&metadata=%7B%22kind%22:%22fee%22%7D").await,
        [1, 2, 3]
    );
    assert_eq!(
        listed(&server, "/transfers?code=2&metadata=%7B%22kind%22:%22fee%22%7D").await,
        [0; 0]
    );
    assert_eq!(listed(&server, "/transfers?metadata=%7B%22kind%22:%22tax%22%7D").await, [0; 0]);
    // More than a page may look at: found in order, as the other filters are.
    history(&server.database, 12_000).await;
    let all =
        listed(&server, "/transfers?limit=1000&order=asc&metadata=%7B%22old%22:true%7D").await;
    assert_eq!(all.len(), 12_000);
    assert!(all.is_sorted(), "in order");
}

/// Transfers between accounts 1 and 2, which have none with others, as a long time would leave them: ids from
/// 100001, one in 10,000 has code 2.
async fn history(database: &TestDatabase, count: u32) {
    let sql = format!(
        "WITH long AS (
             SELECT i, ('00000000-0000-0000-0000-' || lpad((100000 + i)::text, 12, '0'))::uuid AS id
               FROM generate_series(1, {count}) AS i),
         linked AS (
             SELECT i, id, coalesce(lag(id) OVER (ORDER BY i), (
                        SELECT last_transfer FROM giro.accounts WHERE ledger = 1 AND id::text LIKE '%1')
                    ) AS previous
               FROM long)
         INSERT INTO giro.decisions (seq, created_at, ledger, code, flags, id, debit_account,
                                     credit_account, amount, metadata, debit_previous,
                                     credit_previous)
         SELECT ((100 + i / 500) << 16) + i % 500,
                timestamptz '2020-01-01 00:00:00Z' + (i / 500) * interval '1 hour', 1,
                CASE WHEN i % 10000 = 1 THEN 2 ELSE 1 END, 0, id,
                ('00000000-0000-0000-0000-00000000000' || 1 + i % 2)::uuid,
                ('00000000-0000-0000-0000-00000000000' || 2 - i % 2)::uuid, 1,
                '{{\"old\": true}}', previous, previous
           FROM linked;
         UPDATE giro.account_state SET last_transfer = (SELECT id FROM giro.transfers WHERE seq > 0
                                                         ORDER BY seq DESC LIMIT 1);
         SELECT setval('giro.batch_id', 100000)"
    );
    database.superuser().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_rare_match_is_found_by_pages_that_look_at_a_bounded_number() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    history(&server.database, 25_000).await;
    for path in ["/transfers?code=2", "/accounts/1/transfers?code=2"] {
        assert_eq!(listed(&server, path).await, [120_001, 110_001, 100_001], "{path}");
        assert_eq!(listed(&server, &format!("{path}&limit=1")).await, [120_001, 110_001, 100_001]);
        assert_eq!(
            listed(&server, &format!("{path}&order=asc")).await,
            [100_001, 110_001, 120_001]
        );
        let first = server.client.get(&format!("{path}&limit=2")).await.json;
        assert_eq!(first["transfers"].as_array().unwrap().len(), 1, "a short page: {path}");
        assert!(first["next_cursor"].is_string(), "which goes on");
    }
    assert_eq!(listed(&server, "/accounts/1/transfers?code=2&side=debit").await, [0; 0]);
}

#[tokio::test]
async fn a_range_of_times_is_found_in_a_long_history() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    history(&server.database, 20_000).await;
    let range = "from=2020-01-01T10:00:00Z&until=2020-01-01T12:00:00Z";
    let expected: Vec<u32> = (105_000..106_000).collect();
    for path in ["/transfers", "/accounts/1/transfers"] {
        assert_eq!(listed(&server, &format!("{path}?order=asc&{range}")).await, expected, "{path}");
        let mut newest = listed(&server, &format!("{path}?limit=300&{range}")).await;
        newest.reverse();
        assert_eq!(newest, expected, "{path}");
    }
    // To the microsecond.
    let after = "from=2020-01-01T10:00:00.000001Z&until=2020-01-01T11:00:00.000001Z";
    let expected: Vec<u32> = (105_500..106_000).collect();
    assert_eq!(listed(&server, &format!("/transfers?order=asc&{after}")).await, expected);
    assert_eq!(
        listed(&server, &format!("/accounts/2/transfers?order=asc&{after}")).await,
        expected
    );
}

#[tokio::test]
async fn a_parameter_that_is_unknown_double_or_malformed_is_refused_by_name() {
    let server = TestServer::start().await;
    server.accounts(2).await;
    for (path, field) in [
        ("/transfers?x=1", "x"),
        ("/transfers?side=debit", "side"),
        ("/transfers?at=1", "at"),
        ("/transfers?flags=linked", "flags"),
        ("/transfers?limit=1&limit=1", "limit"),
        ("/transfers?limit=0", "limit"),
        ("/transfers?limit=1001", "limit"),
        ("/transfers?limit=-1", "limit"),
        ("/transfers?limit=%2B1", "limit"),
        ("/transfers?limit=", "limit"),
        ("/transfers?limit=99999999999999999999", "limit"),
        ("/transfers?order=up", "order"),
        ("/transfers?order=ASC", "order"),
        ("/transfers?ledger=0", "ledger"),
        ("/transfers?ledger=2147483648", "ledger"),
        ("/transfers?code=0", "code"),
        ("/transfers?code=65536", "code"),
        ("/transfers?code=x", "code"),
        ("/transfers?pending_id=x", "pending_id"),
        ("/transfers?from=yesterday", "from"),
        ("/transfers?until=2026-01-01", "until"),
        ("/transfers?from=2026-01-01T00:00:00%2B01:00", "from"),
        ("/transfers?seq_from=-1", "seq_from"),
        ("/transfers?seq_until=9223372036854775808", "seq_until"),
        ("/transfers?metadata=x", "metadata"),
        ("/transfers?metadata=%5B%5D", "metadata"),
        ("/transfers?metadata=%7B%22k%22:%22%5Cu0000%22%7D", "metadata"),
        ("/transfers?reference=%00", "reference"),
        ("/accounts?pending_id=1", "pending_id"),
        ("/accounts?seq_from=1", "seq_from"),
        ("/accounts?flags=", "flags"),
        ("/accounts?flags=pending", "flags"),
        ("/accounts/1/transfers?side=both", "side"),
        ("/accounts/x/transfers", "id"),
        ("/accounts/1/balances?side=debit", "side"),
        ("/accounts/1/balances?at=1&limit=1", "limit"),
        ("/accounts/1/balances?at=-1", "at"),
        ("/accounts/1/balances?at=noon", "at"),
        ("/accounts/1?code=1", "code"),
        ("/transfers/1?dry_run=true", "dry_run"),
    ] {
        let reply = server.client.get(path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text);
        assert_eq!(reply.json["field"], field, "{path}: {}", reply.text);
        assert_eq!(reply.outcome(), "not_applied", "{path}");
        assert!(
            reply.json["detail"].as_str().is_some_and(|d| d.starts_with(field)),
            "{}",
            reply.text
        );
    }
    let long = format!("/transfers?reference={}", "x".repeat(129));
    assert_eq!(server.client.get(&long).await.json["field"], "reference");
    let late = [("request-timeout-ms", "0")];
    let reply = server.client.send(hyper::Method::GET, "/transfers", &late, "").await.unwrap();
    assert_eq!(reply.json["field"], "Request-Timeout-Ms");
}
