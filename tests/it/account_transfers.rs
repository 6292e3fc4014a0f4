//! The transfers of an account come from its list as a sort of the whole table would give them.

use crate::reading::{column, ids};
use giro_tests::TestServer;
use serde_json::{Value, json};

/// Accounts with this many transfers each, all with account 1, and what is missing to 1,500 between 1 and 9.
const FEW: [(u64, usize); 6] = [(2, 0), (3, 1), (4, 63), (5, 64), (6, 65), (7, 200)];
const ALL: usize = 1500;

/// In batches of many sizes, on either side by chance; one in ten is a hold, which is posted later.
async fn fill(server: &TestServer) {
    server.accounts(9).await;
    let mut random = fastrand::Rng::with_seed(64);
    let mut others: Vec<u64> =
        FEW.iter().flat_map(|&(account, count)| vec![account; count]).collect();
    others.resize(ALL, 9);
    random.shuffle(&mut others);
    let mut holds = Vec::new();
    while !others.is_empty() {
        let size = others.len().min(random.usize(1..60));
        let mut batch = Vec::new();
        for other in others.split_off(others.len() - size) {
            let (debit, credit) = if random.bool() { (1, other) } else { (other, 1) };
            let id = 10_000 + random.u64(0..1 << 40);
            let mut transfer =
                json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": 5});
            match holds.pop() {
                // It takes the place of a transfer with account 9.
                Some(hold) if other == 9 => {
                    transfer = json!({"id": id, "pending_id": hold, "flags": ["post_pending"]});
                }
                kept => holds.extend(kept),
            }
            if other == 9 && transfer["flags"].is_null() && random.u8(0..10) == 0 {
                transfer["flags"] = json!(["pending"]);
                holds.insert(0, id);
            }
            batch.push(transfer);
        }
        let reply = server.client.post("/transfers", &Value::Array(batch)).await;
        assert_eq!(reply.status, 200, "{:.500}", reply.text);
    }
    server.database.assert_consistent().await;
}

/// Plain rows of an account in table `plain`, and cuts at and between anchors, in table `cut`.
const PLAIN: &str = "
    CREATE TEMP TABLE plain AS
    SELECT s.account, t.seq, t.id, s.side, t.created_at
      FROM giro.transfers t
     CROSS JOIN LATERAL (VALUES (t.debit_account, 'debit'), (t.credit_account, 'credit')
                        ) AS s (account, side);
    CREATE TEMP TABLE cut AS
    SELECT account, seq + d AS seq
      FROM plain, (VALUES (0), (1)) AS v (d)
     WHERE hashint8(seq) & 63 = 0 OR random() < 0.03
     UNION SELECT id, seq FROM giro.accounts, (VALUES (0::bigint), (9223372036854775807)) AS v (seq)";

#[tokio::test]
async fn any_range_of_a_list_is_that_of_a_sort() {
    let server = TestServer::start().await;
    fill(&server).await;
    let session = server.database.superuser().await;
    session.batch_execute(&format!("SELECT setseed(0.64); {PLAIN}")).await.unwrap();
    let sql = "
        WITH asked AS MATERIALIZED (
            SELECT low.account, low.seq AS low, high.seq AS high, descending, many
              FROM cut low JOIN cut high USING (account)
             CROSS JOIN (VALUES (true), (false)) AS o (descending)
             CROSS JOIN (VALUES (1), (70), (10000)) AS m (many)
             WHERE random() < 0.01 OR account::text NOT LIKE '%1' AND random() < 0.1)
        SELECT count(*), count(*) FILTER (WHERE listed.items IS DISTINCT FROM sorted.items)
          FROM asked a
         CROSS JOIN LATERAL (
               SELECT array_agg((l.seq, l.id, l.side)::text ORDER BY place) AS items
                 FROM giro.account_transfers(1, a.account, a.low, a.high, a.descending, a.many)
                      WITH ORDINALITY AS l (seq, id, side, place)) AS listed
         CROSS JOIN LATERAL (
               SELECT array_agg((p.seq, p.id, p.side)::text ORDER BY p.key) AS items
                 FROM (SELECT *, CASE WHEN a.descending THEN -seq ELSE seq END AS key
                         FROM plain p
                        WHERE p.account = a.account AND p.seq >= a.low AND p.seq < a.high
                        ORDER BY key LIMIT a.many) AS p) AS sorted";
    let row = session.query_one(sql, &[]).await.unwrap();
    let (asked, wrong): (i64, i64) = (row.get(0), row.get(1));
    assert!(asked > 500, "{asked}");
    assert_eq!(wrong, 0, "of {asked}");
    let sql = "
        SELECT count(*) FROM plain p, (VALUES ('0'), ('1 microsecond'), ('-1 microsecond')) AS v (d)
         WHERE giro.seq_at(1, account, created_at + d::interval)
               <> coalesce((SELECT min(seq) FROM plain q WHERE q.account = p.account
                               AND q.created_at >= p.created_at + d::interval), 9223372036854775807)";
    assert_eq!(session.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0, "times");
}

#[tokio::test]
async fn pages_of_hot_and_cold_accounts_are_in_order_and_whole() {
    let server = TestServer::start().await;
    fill(&server).await;
    for account in 1..=9 {
        let uuid = format!("00000000-0000-0000-0000-{account:012}");
        for (side, condition) in [
            ("", format!("'{uuid}' IN (debit_account, credit_account)")),
            ("&side=debit", format!("debit_account = '{uuid}'")),
            ("&side=credit&code=1", format!("credit_account = '{uuid}'")),
        ] {
            let sql = format!("SELECT id::text FROM giro.transfers WHERE {condition} ORDER BY seq");
            let mut expected = ids(&server.database, &sql).await;
            let limits: &[_] = if expected.len() > 300 { &[64, 1000] } else { &[1, 63, 64, 1000] };
            for order in ["asc", "desc"] {
                for limit in limits {
                    let path =
                        format!("/accounts/{account}/transfers?order={order}&limit={limit}{side}");
                    let all = server.client.pages(&path, "transfers").await;
                    assert_eq!(column(&all, "id"), expected, "{path}");
                }
                expected.reverse();
            }
        }
    }
}

#[tokio::test]
async fn a_plan_that_was_made_while_the_table_was_empty_does_not_scan_it() {
    let server = TestServer::start().await;
    let session = server.database.superuser().await;
    let account = "'00000000-0000-0000-0000-000000000001'";
    let all = i64::MAX;
    // With how many rows of the table each may look at: a segment is rarely longer than 500.
    let statements = [
        (format!("SELECT * FROM giro.account_transfers(1, {account}, max_items => 10)"), 10),
        (format!("SELECT * FROM giro.account_transfers(1, {account}, 0, {all}, false, 10)"), 500),
        (format!("SELECT giro.seq_at(1, {account}, '2020-01-01')"), 500),
        (format!("SELECT giro.seq_at(1, {account}, '2200-01-01')"), 100),
    ];
    for (statement, _) in &statements {
        session.query(statement, &[]).await.expect(statement);
    }
    fill(&server).await;
    for (statement, at_most) in &statements {
        session.batch_execute("BEGIN").await.unwrap();
        session.query(statement, &[]).await.expect(statement);
        let sql = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables
                    WHERE relid = 'giro.decisions'::regclass";
        let row = session.query_one(sql, &[]).await.unwrap();
        session.batch_execute("ROLLBACK").await.unwrap();
        let (scans, rows): (i64, i64) = (row.get(0), row.get(1));
        assert_eq!(scans, 0, "{statement}");
        assert!(rows <= *at_most, "{statement}: {rows} rows");
    }
}
