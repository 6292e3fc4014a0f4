//! Callers of a small run, one after another, and what they write down.

use giro_checker::history::{Answer, Applied, Asked, Attempt, Balances, Item, Scrape, Told};
use giro_checker::model::{names, transfer};
use giro_tests::{Reply, TestServer};
use hyper::Method;
use serde_json::{Value, json};

/// Asks a server, and notes it. Time goes by one at each event: every attempt ends before the next begins.
pub(super) struct Recorder<'a> {
    server: &'a TestServer,
    pub(super) history: Vec<Attempt>,
    clock: u64,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(server: &'a TestServer) -> Self {
        Self { server, history: Vec::new(), clock: 0 }
    }

    pub(super) fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn note(&mut self, inv: u64, asked: Asked, answer: Answer) {
        let ret = self.now();
        self.history.push(Attempt { caller: 1, server: 0, inv, ret, asked, answer });
    }

    /// Sends transfers in one request, and notes the answers; what was told, in short.
    pub(super) async fn send(&mut self, items: &[Item]) -> Vec<String> {
        let inv = self.now();
        let answer = self.transfers(items).await;
        let said = said(&answer);
        self.note(inv, Asked::Transfers(items.to_vec()), answer);
        said
    }

    /// Sends transfers, and leaves without the answer.
    pub(super) async fn send_and_leave(&mut self, items: &[Item]) {
        let inv = self.now();
        self.transfers(items).await;
        self.note(inv, Asked::Transfers(items.to_vec()), Answer::None("it left".into()));
    }

    /// What was sent is lost on its way, or refused on it.
    pub(super) fn lose(&mut self, items: &[Item], answer: Answer) {
        let inv = self.now();
        self.note(inv, Asked::Transfers(items.to_vec()), answer);
    }

    /// Looks at an account.
    pub(super) async fn read(&mut self, account: u64) {
        let inv = self.now();
        let reply = self.get(&format!("/accounts/{account}")).await;
        let number = |name: &str| number(&reply.json[name]);
        let balances = Balances {
            version: number("version") as i64,
            debits_pending: number("debits_pending"),
            debits_posted: number("debits_posted"),
            credits_pending: number("credits_pending"),
            credits_posted: number("credits_posted"),
        };
        self.note(inv, Asked::Account(account), Answer::Account(Box::new(balances)));
    }

    /// Looks at a transfer.
    pub(super) async fn look(&mut self, id: u64) {
        let inv = self.now();
        let reply = self.get(&format!("/transfers/{id}")).await;
        let answer = match (reply.status.as_u16(), reply.outcome()) {
            (200, _) => Answer::Told(vec![Told::Applied(applied(&reply.json))]),
            (404, "rejected") => {
                let reason = reply.reason().to_owned();
                Answer::Told(vec![Told::Rejected { reason, replayed: true }])
            }
            (404, _) => Answer::Absent,
            _ => panic!("{}", reply.text),
        };
        self.note(inv, Asked::Transfer(id), answer);
    }

    /// The metrics, when nothing is under way any more.
    pub(super) async fn scrape(&mut self) -> Scrape {
        let text = self.server.admin.get("/metrics").await.text;
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let values = text.lines().filter(|line| !line.starts_with('#')).filter_map(value).collect();
        Scrape { server: 0, generation: 0, at: self.now(), at_rest: true, values }
    }

    async fn get(&self, path: &str) -> Reply {
        self.server.client.send(Method::GET, path, &[], "").await.expect("an answer")
    }

    async fn transfers(&self, items: &[Item]) -> Answer {
        let json: Vec<Value> = items.iter().map(item_json).collect();
        let reply = match &json[..] {
            [only] => self.server.client.post("/transfer", only).await,
            _ => self.server.client.post("/transfers", &json!(json)).await,
        };
        Answer::Told(match (reply.status.as_u16(), &reply.json) {
            (200 | 422, Value::Array(all)) => all.iter().map(told).collect(),
            (200 | 422, one) => vec![told(one)],
            (400, _) => vec![Told::NotApplied("400".into()); items.len()],
            _ => panic!("{}", reply.text),
        })
    }
}

fn said(answer: &Answer) -> Vec<String> {
    let Answer::Told(told) = answer else { return Vec::new() };
    let one = |told: &Told| match told {
        Told::Applied(applied) if applied.replayed => "=applied".to_owned(),
        Told::Applied(_) => "applied".to_owned(),
        Told::Rejected { reason, replayed } => {
            format!("{}{reason}", if *replayed { "=" } else { "" })
        }
        Told::NotApplied(reason) => reason.clone(),
        Told::Unknown => "unknown".to_owned(),
    };
    told.iter().map(one).collect()
}

fn told(json: &Value) -> Told {
    match json["outcome"].as_str() {
        Some("applied") => Told::Applied(applied(json)),
        Some("rejected") => Told::Rejected {
            reason: json["reason"].as_str().expect("a reason").to_owned(),
            replayed: json["replayed"] == true,
        },
        _ => panic!("{json}"),
    }
}

fn applied(json: &Value) -> Applied {
    let id = |name: &str| {
        let digits = json[name].as_str().expect("an id").replace('-', "");
        u64::from_str_radix(&digits[16..], 16).expect("a small id")
    };
    Applied {
        id: id("id"),
        seq: number(&json["seq"]) as i64,
        debit: id("debit_account"),
        credit: id("credit_account"),
        amount: number(&json["amount"]),
        replayed: json["replayed"] == true,
    }
}

fn number(json: &Value) -> u64 {
    json.as_str().expect("a decimal string").parse().expect("a number")
}

fn item_json(item: &Item) -> Value {
    let mut json = json!({ "id": item.id, "flags": names(item.flags, transfer::FLAG_NAMES) });
    let fields = json.as_object_mut().expect("an object");
    let mut put = |name: &str, value: Option<u64>| {
        fields.extend(value.map(|value| (name.to_owned(), json!(value))));
    };
    let given = |value: u64| (value != 0).then_some(value);
    put("debit_account", given(item.debit));
    put("credit_account", given(item.credit));
    put("amount", item.amount);
    put("pending_id", item.pending_id);
    put("timeout", given(item.timeout));
    json
}
