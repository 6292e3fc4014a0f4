//! `giro verify` is silent on what the functions made, and finds what they cannot have made.

use giro_ledger::verify::{Report, verify};
use giro_ledger::{Connector, Id};
use giro_tests::{Client, TestDatabase, TestServer, eventually};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::process::Command;

async fn audit(url: &str) -> Report {
    let patience = Duration::from_secs(10);
    let connector = Connector::new(url, patience, Duration::ZERO, patience).expect("a URL");
    verify(&connector, 100, &mut |_| ()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A ledger in which every rule has been at work, and nobody is any more.
async fn used_ledger() -> TestDatabase {
    let server = TestServer::start().await;
    let client = &server.client;
    let accounts = json!([
        {"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}, {"id": 5}, {"id": 6}, {"id": 7}, {"id": 8},
        {"id": 10, "flags": ["debits_must_not_exceed_credits"], "overdraft_limit": 50},
        {"id": 11, "flags": ["credits_must_not_exceed_debits"]},
        {"id": 12, "flags": ["history"]},
        {"id": 13, "flags": ["history", "debits_must_not_exceed_credits"]},
        {"id": 20, "flags": ["closed"]},
        {"id": 1, "ledger": 2}, {"id": 2, "ledger": 2},
    ]);
    judged(client, "/accounts", &accounts, "applied").await;
    let imported = json!([
        {"id": 30, "flags": ["imported", "history"], "timestamp": "2020-01-01T00:00:00Z"},
        {"id": 31, "flags": ["imported"], "timestamp": "2020-01-01T00:00:01Z"},
    ]);
    judged(client, "/accounts", &imported, "applied").await;
    let imported = json!([
        with(
            transfer(300, 30, 31, 9),
            json!({"flags": ["imported"], "timestamp": "2021-01-01T00:00:00Z"})
        ),
        with(
            transfer(301, 31, 30, 4),
            json!({"flags": ["imported"], "timestamp": "2021-01-01T00:00:01Z"})
        ),
    ]);
    judged(client, "/transfers", &imported, "applied").await;

    let apply = async |transfers: Value| judged(client, "/transfers", &transfers, "applied").await;
    // Money for the limited accounts; all of the overdraft; accounts with history.
    apply(json!([transfer(100, 1, 10, 100), transfer(101, 11, 1, 70), transfer(102, 1, 12, 30)]))
        .await;
    apply(json!([transfer(103, 10, 2, 150)])).await;
    apply(json!([transfer(104, 12, 13, 10), transfer(105, 13, 12, 7), transfer(106, 2, 12, 1)]))
        .await;
    apply(json!([transfer(107, 30, 31, 5)])).await;
    apply(json!([with(transfer(108, 1, 2, 8), json!({"ledger": 2}))])).await;
    apply(json!([with(transfer(109, 10, 3, 90), json!({"flags": ["balancing_debit"]}))])).await;
    judged(client, "/transfers", &json!([transfer(103, 10, 2, 150)]), "applied").await;
    // Refused for good: over the limit, from nowhere, to a closed account.
    let refused =
        json!([transfer(110, 10, 2, 40), transfer(111, 99, 2, 1), transfer(112, 1, 20, 3)]);
    judged(client, "/transfers", &refused, "rejected").await;

    // Holds: posted in part and in full, voided, expired, open.
    apply(json!([
        hold(120, 1, 12, 20),
        hold(121, 1, 2, 21),
        hold(122, 12, 2, 3),
        hold(123, 3, 4, 23)
    ]))
    .await;
    apply(json!([post(130, 120, Some(15)), post(131, 121, None), void(132, 122)])).await;
    apply(json!([
        with(hold(124, 12, 2, 24), json!({"timeout": 1})),
        with(hold(125, 1, 12, 25), json!({"timeout": 1, "flags": ["pending", "closing_debit"]}))
    ]))
    .await;
    expire(&server.database, 2).await;
    apply(json!([with(hold(126, 1, 2, 26), json!({"timeout": 3600}))])).await;
    judged(client, "/transfers", &json!([post(133, 124, None)]), "rejected").await;

    // Chains: whole, broken and burnt, and one of holds that is resolved as one.
    let linked = |transfer: Value| {
        let mut flags = transfer["flags"].as_array().cloned().unwrap_or_default();
        flags.push("linked".into());
        with(transfer, json!({ "flags": flags }))
    };
    apply(json!([
        linked(transfer(140, 1, 2, 5)),
        linked(transfer(141, 2, 12, 5)),
        transfer(142, 12, 3, 5)
    ]))
    .await;
    let broken = json!([linked(transfer(143, 1, 2, 5)), transfer(144, 10, 2, 1000)]);
    judged(client, "/transfers", &broken, "rejected").await;
    apply(json!([
        linked(hold(145, 1, 2, 6)),
        linked(transfer(146, 1, 3, 6)),
        linked(hold(147, 12, 2, 7)),
        hold(148, 3, 4, 8)
    ]))
    .await;
    apply(json!([with(post(149, 145, None), json!({"scope": "chain"}))])).await;

    // Closing: one account open again, one closed.
    let closing = json!({"flags": ["pending", "closing_credit"]});
    apply(json!([with(hold(150, 1, 5, 0), closing.clone()), with(hold(151, 1, 6, 0), closing)]))
        .await;
    judged(client, "/transfers", &json!([transfer(152, 1, 5, 1)]), "rejected").await;
    apply(json!([void(153, 150)])).await;
    apply(json!([transfer(154, 1, 5, 1), transfer(155, 7, 8, 12)])).await;
    server.stop().await.1
}

fn transfer(id: u64, debit: u64, credit: u64, amount: u64) -> Value {
    json!({"id": id, "debit_account": debit, "credit_account": credit, "amount": amount})
}

fn hold(id: u64, debit: u64, credit: u64, amount: u64) -> Value {
    with(transfer(id, debit, credit, amount), json!({"flags": ["pending"]}))
}

fn post(id: u64, hold: u64, amount: Option<u64>) -> Value {
    let post = json!({"id": id, "pending_id": hold, "flags": ["post_pending"]});
    amount.map_or(post.clone(), |amount| with(post, json!({ "amount": amount })))
}

fn void(id: u64, hold: u64) -> Value {
    json!({"id": id, "pending_id": hold, "flags": ["void_pending"]})
}

fn with(mut value: Value, more: Value) -> Value {
    let fields = value.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    value
}

/// Sends items and asserts what became of every one.
async fn judged(client: &Client, path: &str, items: &Value, outcome: &str) {
    let reply = client.post(path, items).await;
    let results = reply.json.as_array().unwrap_or_else(|| panic!("{}", reply.text));
    assert_eq!(results.len(), items.as_array().expect("items").len());
    for (item, result) in items.as_array().expect("items").iter().zip(results) {
        assert_eq!(result["outcome"], outcome, "{item} gives {result}");
    }
}

/// Waits until so many holds have expired and are released, by whomever.
async fn expire(database: &TestDatabase, count: i64) {
    let session = database.superuser().await;
    eventually("the holds are released", async || {
        session.execute("SELECT giro.expire_holds(0, 'test')", &[]).await.expect("a release");
        database.number("SELECT count(*) FROM giro.expired_holds").await == count
    })
    .await;
}

/// What is planted, in SQL; the check that finds it; and the row that it names.
struct Corruption {
    name: &'static str,
    sql: &'static str,
    check: &'static str,
    names: Named,
}

enum Named {
    Account(u128),
    Transfer(u128),
    Hold(u128),
    Ledger(i32),
    Batch,
    Nothing,
}

use Named::{Account, Batch, Hold, Ledger, Nothing, Transfer};

macro_rules! corruptions {
    ($($name:literal finds $check:literal at $names:expr; $sql:literal)+) => {
        &[$(Corruption { name: $name, sql: $sql, check: $check, names: $names }),+]
    };
}

/// `id(n)` stands for the UUID of n.
const CORRUPTIONS: &[Corruption] = corruptions! {
    "money is created" finds "debits_equal_credits" at Ledger(1);
        "UPDATE giro.account_state SET credits_posted = credits_posted + 1000 WHERE id = id(4)"
    "a hold's money is created" finds "debits_equal_credits" at Ledger(1);
        "UPDATE giro.account_state SET debits_pending = debits_pending + 1 WHERE id = id(4) AND ledger = 1"
    "a transfer is missing" finds "balances_are_folds" at Account(8);
        "DELETE FROM giro.decisions WHERE id = id(155)"
    "a transfer is missing from its batch" finds "batches_agree" at Batch;
        "DELETE FROM giro.decisions WHERE id = id(155)"
    "the order of batches is swapped" finds "order_is_kept" at Transfer(107);
        "UPDATE giro.decisions d SET seq = o.seq FROM giro.decisions o
          WHERE (d.id, o.id) IN ((id(107), id(155)), (id(155), id(107)))"
    "the order within a batch is swapped" finds "history_agrees" at Account(12);
        "UPDATE giro.decisions d SET seq = o.seq FROM giro.decisions o
          WHERE (d.id, o.id) IN ((id(104), id(105)), (id(105), id(104)))"
    "two transfers have one seq" finds "order_is_kept" at Transfer(155);
        "UPDATE giro.decisions SET seq = (SELECT seq FROM giro.decisions WHERE id = id(154)) WHERE id = id(155)"
    "a balance drifts" finds "balances_are_folds" at Account(7);
        "UPDATE giro.account_state SET debits_posted = debits_posted + 5, credits_posted = credits_posted + 5
          WHERE id = id(7)"
    "a balance is below zero" finds "balances_are_folds" at Account(3);
        "UPDATE giro.account_state SET debits_pending = -1 WHERE id = id(3)"
    "a limit is breached" finds "limits_hold" at Transfer(103);
        "UPDATE giro.account_state SET overdraft_limit = 49 WHERE id = id(10)"
    "the mirrored limit is breached" finds "limits_hold" at Account(3);
        "UPDATE giro.account_state SET flags = 4 WHERE id = id(3)"
    "a hold is resolved twice" finds "holds_resolve_once" at Hold(122);
        "DROP INDEX giro.decisions_resolution;
         INSERT INTO giro.decisions SELECT seq + 1, created_at, ledger, code, 4, id(999), debit_account,
                credit_account, amount, pending_id FROM giro.decisions WHERE id = id(132)"
    "a hold is posted after it expired" finds "holds_resolve_once" at Hold(124);
        "UPDATE giro.decisions SET pending_id = id(124) WHERE id = id(131)"
    "what is posted is no hold" finds "holds_resolve_once" at Transfer(131);
        "UPDATE giro.decisions SET flags = 0 WHERE id = id(121)"
    "what is posted was refused" finds "rejections_are_not_applied" at Hold(121);
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(121)"
    "more is posted than was held" finds "resolutions_match_holds" at Transfer(130);
        "UPDATE giro.decisions SET amount = 21 WHERE id = id(130)"
    "another account is posted than was held" finds "resolutions_match_holds" at Transfer(131);
        "UPDATE giro.decisions SET credit_account = id(3) WHERE id = id(131)"
    "a hold is released before its time" finds "resolutions_match_holds" at Hold(124);
        "UPDATE giro.decisions SET timeout = 1000000 WHERE id = id(124)"
    "a hold is posted after its time" finds "resolutions_match_holds" at Transfer(131);
        "UPDATE giro.decisions h SET timeout = 1, created_at = created_at - interval '1 minute' WHERE id = id(121)"
    "an open hold will not be released" finds "open_holds_agree" at Transfer(126);
        "DELETE FROM giro.open_holds WHERE id = id(126)"
    "a resolved hold will be released again" finds "open_holds_agree" at Transfer(124);
        "INSERT INTO giro.open_holds VALUES (1, id(124), now())"
    "an amount is altered" finds "balances_are_folds" at Account(2);
        "UPDATE giro.decisions SET amount = amount + 1 WHERE id = id(106)"
    "an amount is no amount" finds "decisions_are_valid" at Transfer(155);
        "UPDATE giro.decisions SET amount = 'NaN' WHERE id = id(155)"
    "an amount is negative" finds "decisions_are_valid" at Transfer(155);
        "UPDATE giro.decisions SET amount = -12 WHERE id = id(155)"
    "a code is none" finds "decisions_are_valid" at Transfer(100);
        "UPDATE giro.decisions SET code = 0 WHERE id = id(100)"
    "a reason is none" finds "decisions_are_valid" at Transfer(110);
        "UPDATE giro.decisions SET reason = 'because' WHERE id = id(110)"
    "versions have a gap" finds "versions_are_gapless" at Account(7);
        "UPDATE giro.account_state SET version = version + 1 WHERE id = id(7)"
    "versions have a gap in the history" finds "versions_are_gapless" at Transfer(105);
        "UPDATE giro.account_balances b SET version = version + 1 FROM giro.decisions d
          WHERE d.id = id(105) AND b.seq = d.seq"
    "half a chain is there" finds "chains_are_whole" at Transfer(141);
        "DELETE FROM giro.decisions WHERE id = id(142)"
    "the middle of a chain is refused" finds "chains_are_whole" at Transfer(140);
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(141)"
    "a refused transfer is in the balances" finds "rejections_are_not_applied" at Transfer(110);
        "UPDATE giro.account_state SET debits_posted = debits_posted + 40 WHERE id = id(10);
         UPDATE giro.account_state SET credits_posted = credits_posted + 40 WHERE id = id(2) AND ledger = 1"
    "an applied transfer is recorded as refused" finds "rejections_are_not_applied" at Transfer(155);
        "UPDATE giro.decisions SET reason = 'exceeds_credits' WHERE id = id(155)"
    "history follows a refused transfer" finds "rejections_are_not_applied" at Transfer(112);
        "UPDATE giro.decisions SET debit_account = id(12) WHERE id = id(112);
         INSERT INTO giro.account_balances SELECT ledger, debit_account, seq, 1, 0, 0, 0, 0, created_at
           FROM giro.decisions WHERE id = id(112)"
    "a row of history is altered" finds "history_agrees" at Transfer(104);
        "UPDATE giro.account_balances b SET credits_posted = b.credits_posted + 1 FROM giro.decisions d
          WHERE d.id = id(104) AND b.seq = d.seq AND b.account = id(13)"
    "a row of history is missing" finds "history_agrees" at Transfer(104);
        "DELETE FROM giro.account_balances b USING giro.decisions d WHERE d.id = id(104) AND b.seq = d.seq"
    "a row of history is too many" finds "history_agrees" at Account(12);
        "INSERT INTO giro.account_balances VALUES (1, id(12), 1, 1, 0, 0, 0, 0, now())"
    "a batch's total is altered" finds "batches_agree" at Batch;
        "UPDATE giro.batches SET applied = applied + 1, items = items + 1 WHERE kind = 'transfers' AND applied > 1"
    "a batch is missing" finds "batches_agree" at Batch;
        "DELETE FROM giro.batches WHERE id = (SELECT seq >> 16 FROM giro.decisions WHERE id = id(155))"
    "a release's batch is altered" finds "batches_agree" at Batch;
        "UPDATE giro.batches SET applied = 7 WHERE kind = 'expirations'"
    "a used account is missing" finds "accounts_exist" at Account(8);
        "DELETE FROM giro.account_state WHERE id = id(8)"
    "an unused account is missing" finds "accounts_exist" at Nothing;
        "DELETE FROM giro.account_state WHERE id = id(20)"
    "an account's details are missing" finds "accounts_exist" at Account(20);
        "DELETE FROM giro.account_details WHERE id = id(20)"
    "a closed account is open" finds "closed_accounts_rest" at Account(6);
        "UPDATE giro.account_state SET flags = 0 WHERE id = id(6)"
    "an open account is closed" finds "closed_accounts_rest" at Account(5);
        "UPDATE giro.account_state SET flags = 32 WHERE id = id(5)"
    "a closed account was moved" finds "closed_accounts_rest" at Transfer(107);
        "UPDATE giro.decisions SET flags = 2 | 64, timeout = 0 WHERE id = id(300);
         UPDATE giro.decisions SET flags = 0 WHERE id = id(301)"
    "time runs back along an account" finds "order_is_kept" at Transfer(107);
        "UPDATE giro.decisions SET created_at = '2020-06-01', flags = 256 WHERE id = id(107)"
};

#[tokio::test]
async fn every_planted_corruption_is_found_and_named() {
    let sound = used_ledger().await;
    let mut missed = Vec::new();
    for Corruption { name, sql, check, names } in CORRUPTIONS {
        let database = sound.copy().await;
        let session = database.superuser().await;
        session
            .batch_execute(
                "CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql
                     AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
                 ALTER TABLE giro.decisions DISABLE TRIGGER ALL;
                 ALTER TABLE giro.batches DISABLE TRIGGER ALL;
                 ALTER TABLE giro.account_balances DISABLE TRIGGER ALL",
            )
            .await
            .expect("the triggers are disabled");
        session.batch_execute(sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let report = audit(&database.server_url).await;
        let found =
            report.checks.iter().find(|found| found.name.name() == *check).expect("a check");
        let named = found.shown.iter().any(|finding| match names {
            Account(id) => finding.account == Some(Id::from(*id)),
            Transfer(id) => finding.transfer == Some(Id::from(*id)),
            Hold(id) => finding.hold == Some(Id::from(*id)),
            Ledger(ledger) => finding.ledger == Some(*ledger),
            Batch => finding.batch.is_some(),
            Nothing => true,
        });
        if !named || report.clean {
            missed.push(format!("{name}:\n{report}"));
        }
    }
    assert!(missed.is_empty(), "missed {}: {}", missed.len(), missed.join("\n"));
}

#[tokio::test]
async fn a_used_ledger_is_sound_for_every_role() {
    let database = used_ledger().await;
    for url in [&database.server_url, &database.owner_url] {
        let report = audit(url).await;
        assert!(report.clean, "{report}");
        for check in &report.checks {
            assert!(check.looked_at > 0, "{} had nothing to look at", check.name.name());
        }
    }
}

#[tokio::test]
async fn an_empty_ledger_is_sound() {
    let report = audit(&TestDatabase::new().await.server_url).await;
    assert!(report.clean, "{report}");
}

#[tokio::test]
async fn a_ledger_in_use_is_sound_at_any_moment() {
    let server = TestServer::start().await;
    server.accounts(4).await;
    let done = AtomicBool::new(false);
    let write = async {
        for id in (1000_u64..).step_by(4) {
            let transfers = json!([
                transfer(id, 1 + id % 3, 4, 1),
                hold(id + 1, 4, 1 + id % 3, 2),
                with(transfer(id + 2, 2, 3, 1), json!({"flags": ["linked"]})),
                post(id + 3, id + 1, Some(1)),
            ]);
            judged(&server.client, "/transfers", &transfers, "applied").await;
            if done.load(Ordering::Relaxed) {
                return id;
            }
        }
        unreachable!("the ids do not end")
    };
    let look = async {
        for _ in 0..5 {
            let report = audit(&server.database.server_url).await;
            assert!(report.clean, "{report}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(write, look);
    assert!(last > 1000, "nothing was written meanwhile");
}

async fn giro_verify(arguments: &[&str], url: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_giro-under-test"));
    command.arg("verify").args(arguments).env_remove("DATABASE_URL");
    command.envs(url.map(|url| ("DATABASE_URL", url)));
    let output = command.output().await.expect("the program runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn the_command_tells_by_its_exit_code_and_in_two_forms() {
    let server = TestServer::start().await;
    server.accounts(3).await;
    judged(&server.client, "/transfers", &json!([transfer(9, 1, 2, 5)]), "applied").await;
    let url = server.database.server_url.as_str();
    let (code, text, progress) = giro_verify(&[], Some(url)).await;
    assert_eq!(code, Some(0), "{text}{progress}");
    assert!(text.contains("balances_are_folds") && !text.contains("FINDING"), "{text}");
    assert!(progress.contains("accounts") && progress.contains("batches"), "{progress}");
    let (code, json, _) = giro_verify(&["--json"], Some(url)).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, report["clean"].as_bool()), (Some(0), Some(true)), "{json}");

    let drift = "UPDATE giro.account_state SET credits_posted = credits_posted + 1";
    server.database.superuser().await.batch_execute(drift).await.expect("a drift");
    let (code, text, _) = giro_verify(&["--findings", "2"], Some(url)).await;
    assert_eq!(code, Some(1), "{text}");
    let id = "00000000-0000-0000-0000-000000000001";
    assert!(text.contains(&format!("ledger 1 account {id} - credits_posted")), "{text}");
    assert!(text.contains("expected 0, found 1") && text.contains("and 1 more"), "{text}");
    let (code, json, _) = giro_verify(&["--json"], Some(url)).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, report["clean"].as_bool()), (Some(1), Some(false)), "{json}");
    let checks = report["checks"].as_array().expect("checks");
    let folds = checks.iter().find(|check| check["name"] == "balances_are_folds").expect("a check");
    assert_eq!(
        (&folds["findings"], &folds["shown"][0]["account"]),
        (&json!(3), &json!(id)),
        "{json}"
    );
}

#[tokio::test]
async fn the_command_says_when_it_could_not_look() {
    let unmigrated = TestDatabase::empty().await;
    let nobody = "postgresql://giro@127.0.0.1:1/giro";
    for (arguments, url, why) in [
        (&[][..], None, "DATABASE_URL"),
        (&[], Some(nobody), "connecting"),
        (&[], Some(unmigrated.owner_url.as_str()), "giro migrate"),
        (&["--set", "batch.max_items=0"], None, "batch.max_items"),
        (&["--unknown"], None, "--unknown"),
    ] {
        let (code, text, said) = giro_verify(arguments, url).await;
        assert_eq!((code, text.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
