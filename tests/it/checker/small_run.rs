//! A small sound run: every kind of item and answer that a storm brings, one after another.

use super::Files;
use super::recorder::Recorder;
use giro_checker::history::{Answer, FaultSpan, Item, Opened, Told};
use giro_checker::model::account::{
    CREDITS_MUST_NOT_EXCEED_DEBITS, DEBITS_MUST_NOT_EXCEED_CREDITS, FLAG_NAMES, HISTORY,
};
use giro_checker::model::names;
use giro_checker::model::transfer::{LINKED, PENDING, POST_PENDING, VOID_PENDING};
use giro_tests::{TestDatabase, TestServer, eventually};
use serde_json::json;

/// Account 1 is the bank, 2 may not be overdrawn, 3 may not be paid more than 100 beyond what it paid, 9 is
/// used by nobody else.
const ACCOUNTS: u64 = 9;

/// Its files, and its database, in which nobody is any more.
pub(super) async fn small_run() -> (Files, TestDatabase) {
    let server = TestServer::start().await;
    let accounts: Vec<_> = (1..=ACCOUNTS).map(account).collect();
    let to_create: Vec<_> = accounts.iter().map(to_create).collect();
    assert_eq!(server.client.post("/accounts", &json!(to_create)).await.status, 200);
    let mut run = Recorder::new(&server);
    plain(&mut run).await;
    holds(&mut run, &server).await;
    chains(&mut run).await;
    doubts(&mut run).await;
    resolve(&mut run).await;
    for account in 1..=ACCOUNTS {
        run.read(account).await;
    }
    let scrapes = vec![run.scrape().await];
    let faults = vec![FaultSpan {
        fault: "kill-server".into(),
        crash_or_cut: true,
        began: 5,
        healed: 6,
        evidence: "signal 9".into(),
        in_flight: 2,
    }];
    let history = run.history;
    (Files { accounts, history, faults, scrapes }, server.stop().await.1)
}

fn account(id: u64) -> Opened {
    let (limit, overdraft_limit) = match id {
        2 => (DEBITS_MUST_NOT_EXCEED_CREDITS, 0),
        3 => (CREDITS_MUST_NOT_EXCEED_DEBITS, 100),
        _ => (0, 0),
    };
    Opened { id, flags: HISTORY | limit, overdraft_limit }
}

fn to_create(account: &Opened) -> serde_json::Value {
    let Opened { id, flags, overdraft_limit } = account;
    json!({"id": id, "flags": names(*flags, FLAG_NAMES), "overdraft_limit": overdraft_limit})
}

async fn plain(run: &mut Recorder<'_>) {
    let first = direct(10, 1, 2, 100);
    assert_eq!(run.send(std::slice::from_ref(&first)).await, ["applied"]);
    run.read(2).await;
    assert_eq!(run.send(&[direct(11, 2, 4, 60)]).await, ["applied"]);
    run.read(2).await;
    assert_eq!(run.send(&[direct(12, 2, 4, 60)]).await, ["exceeds_credits"]);
    assert_eq!(run.send(&[first]).await, ["=applied"]);
    assert_eq!(run.send(&[direct(10, 1, 2, 101)]).await, ["exists_with_different_amount"]);
    assert_eq!(run.send(&[direct(12, 2, 4, 1)]).await, ["=exceeds_credits"]);
    assert_eq!(run.send(&[direct(13, 4, 4, 1)]).await, ["accounts_must_be_different"]);
    assert_eq!(run.send(&[direct(14, 99, 4, 1)]).await, ["debit_account_not_found"]);
    assert_eq!(run.send(&[direct(15, 1, 3, 101)]).await, ["exceeds_debits"]);
    assert_eq!(run.send(&[direct(16, 3, 1, 7), direct(17, 1, 3, 107)]).await, ["applied"; 2]);
    assert_eq!(run.send(&[direct(18, 1, 9, 5)]).await, ["applied"]);
    assert_eq!(run.send(&[Item { amount: None, ..direct(19, 1, 4, 5) }]).await, ["400"]);
}

async fn holds(run: &mut Recorder<'_>, server: &TestServer) {
    assert_eq!(run.send(&[hold(20, 1, 5, 50)]).await, ["applied"]);
    assert_eq!(run.send(&[Item { amount: Some(30), ..post(21, 20) }]).await, ["applied"]);
    assert_eq!(run.send(&[post(26, 20)]).await, ["pending_transfer_already_posted"]);
    assert_eq!(run.send(&[hold(22, 4, 6, 10), void(23, 22)]).await, ["applied"; 2]);
    assert_eq!(run.send(&[Item { timeout: 1, ..hold(24, 1, 5, 3) }]).await, ["applied"]);
    eventually("the hold expires", async || {
        server.database.number("SELECT count(*) FROM giro.expirations").await == 1
    })
    .await;
    assert_eq!(run.send(&[void(25, 24)]).await, ["pending_transfer_expired"]);
    assert_eq!(run.send(&[post(27, 999)]).await, ["pending_transfer_not_found"]);
    assert_eq!(run.send(&[hold(28, 1, 6, 9)]).await, ["applied"]);
    run.read(5).await;
}

async fn chains(run: &mut Recorder<'_>) {
    let whole = [linked(direct(30, 1, 5, 1)), linked(direct(31, 5, 6, 1)), direct(32, 6, 7, 1)];
    assert_eq!(run.send(&whole).await, ["applied"; 3]);
    let failed = "linked_event_failed";
    let broken = [linked(direct(33, 1, 5, 1)), linked(direct(34, 2, 6, 999)), direct(35, 6, 7, 1)];
    assert_eq!(run.send(&broken).await, [failed, "exceeds_credits", failed]);
    let replayed = ["=linked_event_failed", "=exceeds_credits", "=linked_event_failed"];
    assert_eq!(run.send(&broken).await, replayed);
    let malformed = [linked(direct(36, 1, 5, 1)), direct(37, 6, 6, 1)];
    assert_eq!(run.send(&malformed).await, [failed, "accounts_must_be_different"]);
    assert_eq!(run.send(&[malformed[0].clone(), direct(37, 6, 1, 1)]).await, ["applied"; 2]);
    assert_eq!(run.send(&whole).await, ["=applied"; 3]);
    assert_eq!(run.send(&[linked(hold(38, 1, 6, 4)), post(39, 38)]).await, ["applied"; 2]);
    assert_eq!(run.send(&[linked(direct(45, 1, 6, 4))]).await, ["linked_event_chain_open"]);
    let again = [linked(direct(46, 1, 5, 1)), direct(10, 1, 2, 100)];
    assert_eq!(run.send(&again).await, [failed, "exists"]);
    // One member's id had been burnt: it breaks the chain, and burns the others.
    let burnt = [linked(direct(47, 1, 5, 1)), linked(direct(12, 2, 4, 60)), direct(48, 1, 5, 1)];
    assert_eq!(run.send(&burnt).await, [failed, "=exceeds_credits", failed]);
}

/// 40 to 42 never ran at first; 50 to 53 and the hold 58 were applied, 54 to 57 were not, 59 was refused, and
/// nobody was told.
async fn doubts(run: &mut Recorder<'_>) {
    let shed = || Answer::Told(vec![Told::NotApplied("queue_full".into())]);
    run.lose(&[direct(40, 1, 7, 2)], shed());
    assert_eq!(run.send(&[direct(40, 1, 7, 2)]).await, ["applied"]);
    run.lose(&[direct(41, 1, 7, 2)], shed());
    run.lose(&[direct(42, 1, 7, 2)], Answer::NotSent);
    for id in 50..=53 {
        run.send_and_leave(&[direct(id, 1, 8, id)]).await;
    }
    assert_eq!(run.send(&[direct(50, 1, 8, 50)]).await, ["=applied"]);
    run.read(8).await;
    for id in 54..=57 {
        run.lose(&[direct(id, 1, 8, id)], Answer::None("it was cut".into()));
    }
    run.send_and_leave(&[hold(58, 1, 8, 5)]).await;
    run.send_and_leave(&[direct(59, 2, 8, 1000)]).await;
}

async fn resolve(run: &mut Recorder<'_>) {
    for id in 51..=59 {
        run.look(id).await;
    }
    for id in 51..=53 {
        assert_eq!(run.send(&[direct(id, 1, 8, id)]).await, ["=applied"]);
    }
    for id in 54..=57 {
        assert_eq!(run.send(&[direct(id, 1, 8, id)]).await, ["applied"]);
    }
    assert_eq!(run.send(&[hold(58, 1, 8, 5)]).await, ["=applied"]);
    assert_eq!(run.send(&[direct(59, 2, 8, 1000)]).await, ["=exceeds_credits"]);
}

fn direct(id: u64, debit: u64, credit: u64, amount: u64) -> Item {
    Item { id, debit, credit, amount: Some(amount), ..Item::default() }
}

fn hold(id: u64, debit: u64, credit: u64, amount: u64) -> Item {
    Item { flags: PENDING, ..direct(id, debit, credit, amount) }
}

fn post(id: u64, hold: u64) -> Item {
    Item { id, pending_id: Some(hold), flags: POST_PENDING, ..Item::default() }
}

fn void(id: u64, hold: u64) -> Item {
    Item { flags: VOID_PENDING, ..post(id, hold) }
}

fn linked(item: Item) -> Item {
    Item { flags: item.flags | LINKED, ..item }
}
