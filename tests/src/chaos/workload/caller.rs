//! One caller: one thing at a time.

use super::accounts::{Accounts, to_create};
use super::connection::{Connection, Unanswered};
use super::request::{Manner, Request, items};
use super::{PATIENCE, Schedule, Shared, contract};
use crate::chaos::Target;
use giro_checker::history::{ACCOUNTS, Answer, Asked, Item, Told};
use giro_checker::model::STICKY;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// Who opens the accounts and funds them.
const OPENER: u32 = 0;
/// Accounts or transfers of one request of the opener.
const AT_ONCE: usize = 100;
/// How often the opener tries.
const TRIES: u32 = 50;

/// An attempt that is under way.
pub(super) struct Asking {
    pub(super) caller: u32,
    pub(super) server: u16,
    pub(super) inv: u64,
    pub(super) asked: Asked,
}

/// Takes what is due, until nothing is to be sent any more.
pub(super) async fn caller(
    number: u32,
    shared: Arc<Shared>,
    schedule: Arc<Mutex<Schedule>>,
    stop: Arc<AtomicBool>,
) {
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let (request, due) = {
            let mut schedule = schedule.lock().await;
            if stop.load(Ordering::Relaxed) {
                return;
            }
            schedule.next(&shared).await
        };
        if due.elapsed() > PATIENCE {
            shared.counts.late.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        if connections.len() <= request.server {
            connections.resize_with(request.server + 1, Connection::default);
        }
        once(number, &shared, &mut connections[request.server], request).await;
    }
}

async fn once(number: u32, shared: &Shared, connection: &mut Connection, request: Request) {
    let counts = &shared.counts;
    let Some(target) = shared.targets.borrow().get(request.server).cloned() else { return };
    counts.sent.fetch_add(1, Ordering::Relaxed);
    counts.repeats.fetch_add(u64::from(request.kind.is_repeat()), Ordering::Relaxed);
    counts.left.fetch_add(u64::from(request.manner != Manner::Wait), Ordering::Relaxed);
    counts.in_flight.fetch_add(1, Ordering::Relaxed);
    let inv = shared.recorder.now();
    let reply = connection.send(target.client.address(), &request).await;
    let is_cut_off = request.manner == Manner::Wait && matches!(reply, Err(Unanswered::Left(_)));
    counts.cut_off.fetch_add(u64::from(is_cut_off), Ordering::Relaxed);
    let ret = shared.recorder.now();
    counts.in_flight.fetch_sub(1, Ordering::Relaxed);
    let asking = Asking { caller: number, server: target.server, inv, asked: request.asked };
    match said(&asking.asked, reply) {
        Ok(answer) => {
            counts.decided.fetch_add(u64::from(is_decided(&answer)), Ordering::Relaxed);
            counts.unknown.fetch_add(u64::from(is_unknown(&answer)), Ordering::Relaxed);
            shared.note(asking, ret, answer).await;
        }
        Err(wrong) => shared.alarm.raise(wrong),
    }
}

/// What a caller learns from a reply, or from none.
fn said(asked: &Asked, reply: Result<contract::Reply, Unanswered>) -> Result<Answer, String> {
    let is_write = !items(asked).is_empty();
    match reply {
        Ok(reply) => contract::read(asked, &reply),
        Err(Unanswered::NotSent) if is_write => Ok(Answer::NotSent),
        Err(Unanswered::NotSent) => Ok(Answer::NotRead("no server".into())),
        Err(Unanswered::Left(why)) if is_write => Ok(Answer::None(why)),
        Err(Unanswered::Left(why)) => Ok(Answer::NotRead(why)),
    }
}

/// Whether some item was applied or refused for good.
fn is_decided(answer: &Answer) -> bool {
    let Answer::Told(told) = answer else { return false };
    told.iter().any(|told| match told {
        Told::Applied(_) => true,
        Told::Rejected { reason, .. } => STICKY.contains(&reason.as_str()),
        Told::NotApplied(_) | Told::Unknown => false,
    })
}

/// Whether the server says of some item that it does not know.
fn is_unknown(answer: &Answer) -> bool {
    matches!(answer, Answer::Told(told) if told.contains(&Told::Unknown))
}

/// One attempt that is not part of the load, written down; what it was answered.
pub(super) async fn ask(
    shared: &Shared,
    (caller, connection): (u32, &mut Connection),
    target: &Target,
    asked: &Asked,
    deadline: Duration,
) -> Result<Answer, String> {
    let inv = shared.recorder.now();
    let reply = connection.ask(target.client.address(), asked, deadline).await;
    let ret = shared.recorder.now();
    let answer = said(asked, reply)?;
    let asking = Asking { caller, server: target.server, inv, asked: asked.clone() };
    shared.note(asking, ret, answer.clone()).await;
    Ok(answer)
}

/// Whether something can be known from an answer without asking again.
pub(super) fn is_definite(answer: &Answer) -> bool {
    match answer {
        Answer::Told(told) => !told.iter().any(|told| match told {
            // What is malformed is so for good.
            Told::NotApplied(reason) => !matches!(reason.as_str(), "400" | "413"),
            told => *told == Told::Unknown,
        }),
        Answer::Account(_) | Answer::Absent => true,
        Answer::NotRead(_) | Answer::NotSent | Answer::None(_) => false,
    }
}

/// Writes down which accounts there are to be, creates them, and applies their first transfers.
pub(super) async fn open_accounts(shared: &Shared, accounts: &Accounts) -> Result<(), String> {
    let target = shared.targets.borrow().first().cloned().ok_or("no server")?;
    let to_open = accounts.to_open();
    shared.recorder.opens(&to_open).map_err(|error| format!("{ACCOUNTS}: {error}"))?;
    let to_open: Vec<Value> = to_open.iter().map(to_create).collect();
    for some in to_open.chunks(AT_ONCE) {
        let reply = target.client.try_post("/accounts", &json!(some)).await?;
        let all =
            reply.json.as_array().filter(|all| reply.status == 200 && all.len() == some.len());
        let created = |account: &Value| account["outcome"] == "applied";
        if !all.is_some_and(|all| all.iter().all(created)) {
            return Err(format!("the accounts were not created: {}", reply.text));
        }
    }
    let mut funds = accounts.to_fund();
    for (item, id) in funds.iter_mut().zip(1..) {
        item.id = id;
    }
    for some in funds.chunks(AT_ONCE) {
        fund(shared, &target, some.to_vec()).await?;
    }
    Ok(())
}

async fn fund(shared: &Shared, target: &Target, items: Vec<Item>) -> Result<(), String> {
    let mut connection = Connection::default();
    let asked = Asked::Transfers(items);
    for _ in 0..TRIES {
        let who = (OPENER, &mut connection);
        let answer = ask(shared, who, target, &asked, Duration::from_secs(10)).await?;
        if is_definite(&answer) {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err("the accounts were not funded".into())
}
