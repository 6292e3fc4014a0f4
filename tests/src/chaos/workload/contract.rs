//! What a reply says, held against what the API promises of any reply. Whether it is *true* is the
//! checker's to say.

use giro_checker::history::{Answer, Applied, Asked, Balances, Item, Told};
use hyper::HeaderMap;
use serde_json::Value;

/// A reply as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What the reply says, or what is wrong with it.
pub(super) fn read(asked: &Asked, reply: &Reply) -> Result<Answer, String> {
    let said = understand(asked, reply);
    said.map_err(|wrong| format!("{wrong}: {asked:?} was answered {} {}", reply.status, reply.text))
}

fn understand(asked: &Asked, reply: &Reply) -> Result<Answer, String> {
    let json: Value =
        serde_json::from_str(&reply.text).map_err(|error| format!("no JSON ({error})"))?;
    let kind = reply.header("content-type");
    let is_problem = kind == "application/problem+json";
    must(is_problem != (reply.status == 200), || format!("content-type {kind:?}"))?;
    if matches!(reply.status, 429 | 503) {
        let after = reply.header("retry-after");
        must(after.parse::<u32>().is_ok(), || format!("Retry-After is {after:?}"))?;
    }
    if is_problem {
        must(json["status"] == reply.status, || "another status in the body".into())?;
    }
    match asked {
        Asked::Transfers(items) => told(items, reply.status, &json).map(Answer::Told),
        Asked::Account(_) => account(reply.status, &json),
        Asked::Transfer(id) => transfer(*id, reply.status, &json),
    }
}

fn told(items: &[Item], status: u16, json: &Value) -> Result<Vec<Told>, String> {
    match (items, status) {
        ([item], 200 | 422) => {
            must((status == 200) == (text(json, "outcome")? == "applied"), || {
                "status and outcome differ".into()
            })?;
            Ok(vec![judged(item, json)?])
        }
        (items, 200) => {
            let judgements = json.as_array().ok_or("no array")?;
            must(judgements.len() == items.len(), || {
                format!("{} items, not {}", judgements.len(), items.len())
            })?;
            items.iter().zip(judgements).map(|(item, json)| judged(item, json)).collect()
        }
        (items, _) => {
            let told = whole(status, json)?;
            Ok(vec![told; items.len()])
        }
    }
}

/// What is said of all items at once.
fn whole(status: u16, json: &Value) -> Result<Told, String> {
    let outcome = text(json, "outcome")?;
    match (status, outcome) {
        (429 | 503, "not_applied") => Ok(Told::NotApplied(text(json, "reason")?.to_owned())),
        (400 | 408 | 413, "not_applied") => Ok(Told::NotApplied(status.to_string())),
        (504, "unknown") => Ok(Told::Unknown),
        _ => Err("no such answer".into()),
    }
}

fn judged(item: &Item, json: &Value) -> Result<Told, String> {
    let replayed = match &json["replayed"] {
        Value::Null => false,
        Value::Bool(true) => true,
        other => return Err(format!("replayed is {other}")),
    };
    match text(json, "outcome")? {
        "applied" => Ok(Told::Applied(applied(json, replayed)?)),
        "rejected" => {
            let id = id(json, "id")?;
            must(id == item.id, || format!("a refusal of {id}"))?;
            Ok(Told::Rejected { reason: text(json, "reason")?.to_owned(), replayed })
        }
        outcome => Err(format!("outcome {outcome:?}")),
    }
}

fn applied(json: &Value, replayed: bool) -> Result<Applied, String> {
    Ok(Applied {
        id: id(json, "id")?,
        seq: number(json, "seq")?,
        debit: id(json, "debit_account")?,
        credit: id(json, "credit_account")?,
        amount: number(json, "amount")?,
        replayed,
    })
}

fn account(status: u16, json: &Value) -> Result<Answer, String> {
    match status {
        200 => Ok(Answer::Account(Box::new(Balances {
            version: number(json, "version")?,
            debits_pending: number(json, "debits_pending")?,
            debits_posted: number(json, "debits_posted")?,
            credits_pending: number(json, "credits_pending")?,
            credits_posted: number(json, "credits_posted")?,
        }))),
        _ => not_read(status),
    }
}

fn transfer(asked: u64, status: u16, json: &Value) -> Result<Answer, String> {
    match status {
        200 => Ok(Answer::Told(vec![Told::Applied(applied(json, false)?)])),
        404 => {
            must(id(json, "id")? == asked, || "of another id".into())?;
            match &json["outcome"] {
                Value::String(outcome) if outcome == "rejected" => {
                    let reason = text(json, "reason")?.to_owned();
                    Ok(Answer::Told(vec![Told::Rejected { reason, replayed: true }]))
                }
                _ => Ok(Answer::Absent),
            }
        }
        _ => not_read(status),
    }
}

/// The reads of a run ask for what there is, or may be; so they fail for want of a database only.
fn not_read(status: u16) -> Result<Answer, String> {
    match status {
        503 | 504 => Ok(Answer::NotRead(status.to_string())),
        _ => Err("no such answer".into()),
    }
}

fn must(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

fn text<'a>(json: &'a Value, name: &str) -> Result<&'a str, String> {
    json[name].as_str().ok_or_else(|| format!("no {name}"))
}

/// A decimal string.
fn number<T: std::str::FromStr>(json: &Value, name: &str) -> Result<T, String> {
    text(json, name)?.parse().map_err(|_| format!("{name} is {}", json[name]))
}

/// A UUID that was a number of 64 bits.
fn id(json: &Value, name: &str) -> Result<u64, String> {
    let digits = text(json, name)?.replace('-', "");
    let id = u128::from_str_radix(&digits, 16).ok().and_then(|id| u64::try_from(id).ok());
    id.ok_or_else(|| format!("{name} is {}", json[name]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(status: u16, headers: &[(&'static str, &str)], body: Value) -> Reply {
        let mut map = HeaderMap::new();
        let kind = if status == 200 { "application/json" } else { "application/problem+json" };
        map.insert("content-type", kind.parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Reply { status, headers: map, text: body.to_string() }
    }

    fn asked(ids: &[u64]) -> Asked {
        Asked::Transfers(ids.iter().map(|id| Item { id: *id, ..Item::default() }).collect())
    }

    const ID: &str = "00000000-0000-0000-0000-000000000005";

    #[test]
    fn each_answer_of_the_api_is_understood() {
        let applied = json!({"outcome": "applied", "id": ID, "seq": "7", "debit_account": ID,
                             "credit_account": ID, "amount": "12", "replayed": true});
        let told = Applied { id: 5, seq: 7, debit: 5, credit: 5, amount: 12, replayed: true };
        let told = Told::Applied(told);
        let read_one =
            |status, headers: &[_], body| read(&asked(&[5]), &reply(status, headers, body));
        assert_eq!(read_one(200, &[], applied.clone()), Ok(Answer::Told(vec![told.clone()])));
        let rejected = json!({"outcome": "rejected", "reason": "exceeds_credits", "id": ID});
        let refused = Told::Rejected { reason: "exceeds_credits".into(), replayed: false };
        let both = read(&asked(&[5, 5]), &reply(200, &[], json!([applied, rejected])));
        assert_eq!(both, Ok(Answer::Told(vec![told, refused])));
        let shed = json!({"status": 503, "outcome": "not_applied", "reason": "queue_full"});
        let shed = read_one(503, &[("retry-after", "1")], shed);
        assert_eq!(shed, Ok(Answer::Told(vec![Told::NotApplied("queue_full".into())])));
        let unknown = read_one(504, &[], json!({"status": 504, "outcome": "unknown"}));
        assert_eq!(unknown, Ok(Answer::Told(vec![Told::Unknown])));
        let absent = reply(404, &[], json!({"status": 404, "outcome": "not_applied", "id": ID}));
        assert_eq!(read(&Asked::Transfer(5), &absent), Ok(Answer::Absent));
    }

    #[test]
    fn a_reply_that_breaks_the_contract_is_named() {
        let shed = json!({"status": 503, "outcome": "not_applied", "reason": "queue_full"});
        let rejected = json!({"status": 422, "outcome": "rejected", "reason": "exists", "id": ID});
        let unknown = json!({"status": 504, "outcome": "not_applied"});
        for (ids, reply, wrong) in [
            (&[5][..], reply(503, &[], shed), "Retry-After"),
            (&[5, 6], reply(200, &[], json!([])), "0 items, not 2"),
            (&[5], reply(200, &[], rejected.clone()), "status and outcome differ"),
            (&[6], reply(422, &[], rejected), "a refusal of 5"),
            (&[5], reply(504, &[], unknown), "no such answer"),
            (&[5], reply(500, &[], json!({"status": 500, "outcome": "unknown"})), "no such answer"),
        ] {
            let said = read(&asked(ids), &reply);
            assert!(said.as_ref().is_err_and(|said| said.contains(wrong)), "{wrong}: {said:?}");
        }
    }
}
