//! The rules of the ledger one by one, through the API, in the words of the rules. Random programs
//! (`model.rs`) find what these examples do not; these say what is meant.
//!
//! | file | holds |
//! | --- | --- |
//! | `reasons` | every reason by itself: its answer, and whether it burns the id |
//! | `precedence` | which reason is given where several are true |
//! | `invariants` | what holds at every moment |
//! | `accounts` | flags, limits, versions, creation |
//! | `holds` | pending, post, void, expiry |
//! | `amounts` | balancing, and what closing stops |
//! | `chains`, `batches` | linked items, and where batches end |
//! | `scope` | chains of holds, posted or voided as a whole |
//! | `repeats` | the same id again |
//! | `order` | seq, versions and times |
//! | `flags` | which of them combine |
//! | `imports` | transfers and accounts from another system |
//! | `calls` | what only a caller of the SQL function can do |

mod accounts;
mod amounts;
mod batches;
mod calls;
mod chains;
mod flags;
mod holds;
mod imports;
mod invariants;
mod order;
mod precedence;
mod reasons;
mod repeats;
mod scope;

use giro_server::Config;
use giro_tests::{Clock, Reply, TestDatabase, TestServer, clock::moment};
use serde_json::{Value, json};
use std::cell::Cell;

/// When the tests begin: 2026.
const START: i64 = 1_767_225_600_000_000;
const SECOND: i64 = 1_000_000;
const MAX: &str = "340282366920938463463374607431768211455";

/// A server whose database has the time that the test says.
struct Ledger {
    server: TestServer,
    clock: Clock,
    now: Cell<i64>,
}

impl Ledger {
    async fn new() -> Self {
        Self::configured(|_| {}).await
    }

    async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new().await;
        let clock = Clock::stop(&database, START).await;
        let server = TestServer::on(database, configure).await;
        Self { server, clock, now: Cell::new(START) }
    }

    /// Lets time pass.
    async fn wait(&self, microseconds: i64) {
        self.now.set(self.now.get() + microseconds);
        self.clock.set(self.now.get()).await;
    }

    /// Creates accounts, which must succeed.
    async fn accounts(&self, accounts: Value) {
        let reply = self.server.client.post("/accounts", &accounts).await;
        assert!(answers(&reply).iter().all(|answer| answer == "applied"), "{}", reply.text);
    }

    /// The answers to one request of transfers.
    async fn apply(&self, transfers: Value) -> Vec<String> {
        answers(&self.server.client.post("/transfers", &transfers).await)
    }

    /// The answer to one transfer.
    async fn one(&self, transfer: Value) -> Value {
        self.server.client.post("/transfer", &transfer).await.json
    }

    /// Pending and posted debits, pending and posted credits.
    async fn balances(&self, account: u32) -> [u128; 4] {
        let account = self.account(account).await;
        let fields = ["debits_pending", "debits_posted", "credits_pending", "credits_posted"];
        fields.map(|field| account[field].as_str().unwrap_or("").parse().expect("a balance"))
    }

    async fn account(&self, account: u32) -> Value {
        self.server.client.get(&format!("/accounts/{account}")).await.json
    }

    async fn is_closed(&self, account: u32) -> bool {
        let account = self.account(account).await;
        account["flags"].as_array().expect("flags").contains(&json!("closed"))
    }

    /// Releases the holds whose time is over, as the server does in the background.
    async fn expire(&self) {
        let expire = "SELECT giro.expire_holds(0, 'test', 1000)::bigint";
        self.server.database.number(expire).await;
    }
}

/// What was answered, item by item; `=` before a replay.
fn answers(reply: &Reply) -> Vec<String> {
    let items = reply.json.as_array().unwrap_or_else(|| panic!("no array: {}", reply.text));
    items.iter().map(answer).collect()
}

fn answer(item: &Value) -> String {
    let text = item["reason"].as_str().or(item["outcome"].as_str()).unwrap_or("nothing");
    format!("{}{text}", if item["replayed"] == true { "=" } else { "" })
}

/// One object with the fields of both, the second's where both have one; null takes a field away.
fn with(base: &Value, changes: Value) -> Value {
    let mut merged = base.clone();
    let fields = merged.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    fields.retain(|_, value| !value.is_null());
    merged
}

/// A transfer from account 1 to account 2.
fn transfer(id: u32, changes: Value) -> Value {
    with(&json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": 1}), changes)
}

fn hold(id: u32, changes: Value) -> Value {
    with(&transfer(id, json!({"flags": ["pending"]})), changes)
}

fn post(id: u32, hold: u32, changes: Value) -> Value {
    with(&json!({"id": id, "flags": ["post_pending"], "pending_id": hold}), changes)
}

fn void(id: u32, hold: u32, changes: Value) -> Value {
    with(&json!({"id": id, "flags": ["void_pending"], "pending_id": hold}), changes)
}

/// The same items as one chain.
fn linked(mut items: Vec<Value>) -> Value {
    let last = items.len() - 1;
    for item in &mut items[..last] {
        let mut flags = item["flags"].as_array().cloned().unwrap_or_default();
        flags.push(json!("linked"));
        item["flags"] = json!(flags);
    }
    json!(items)
}

fn transfers(ids: impl IntoIterator<Item = u32>) -> Vec<Value> {
    ids.into_iter().map(|id| transfer(id, json!({}))).collect()
}

/// A time in JSON, so many seconds after the start.
fn at(seconds: i64) -> Value {
    json!(humantime::format_rfc3339_micros(moment(START + seconds * SECOND)).to_string())
}
