//! Transfers and accounts as they are sent, and what the code that answers makes of them. A test sends
//! them to a new server, in this order, accounts first.

use super::replies::Examples;
use crate::http::answer::{Answer, AppliedItem};
use crate::http::body::{Object, parse};
use crate::http::problem::Problem;
use crate::http::resource::{Accounts, Applied, Item, Resource, Transfers};
use crate::http::submit::faulty;
use giro_ledger::{
    AccountFlags, Amount, AppliedTransfer, BalanceRecord, Balances, CreatedAccount, Id, Inherited,
    Reason, Recorded, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A resource whose calls can be shown.
pub(super) trait Described: Resource {
    /// A body with a fault in one of its fields.
    const FAULTY: &'static str;

    /// An array with that fault.
    fn faulty_many() -> String {
        format!("[{{}}, {}]", Self::FAULTY)
    }

    /// The one that replies without an example of their own are about.
    fn shown_id() -> Id;
    /// Single ones as they are sent.
    fn sent() -> Examples<Value>;
    /// What 200 says of them.
    fn applied() -> Examples<Value>;
    /// What 422 says of them.
    fn rejected() -> Examples<Problem>;
    /// Arrays as they are sent.
    fn sent_many() -> Examples<Value>;
    /// What 200 says of them.
    fn answered_many() -> Examples<Value>;
}

/// The ids of the transfers follow this one.
const FIRST: u128 = 0x0192_f0c1_2345_7000_8000_0000_0000_0001;

/// A transfer's id.
pub(super) fn transfer_id(number: u128) -> Id {
    Id::from(FIRST + number)
}

/// The transfer that is shown as refused for good.
pub(super) const REFUSED: u128 = 3;

impl Described for Transfers {
    const FAULTY: &'static str = r#"{"debit_account": 1, "credit_account": 2, "amount": 1.5}"#;

    fn shown_id() -> Id {
        transfer_id(0)
    }

    fn sent() -> Examples<Value> {
        let transfer = |number, amount| {
            let id = transfer_id(number);
            json!({"id": id, "debit_account": 1, "credit_account": 2, "amount": amount})
        };
        let (mut direct, mut hold) = (transfer(0, 60), transfer(1, 20));
        direct["reference"] = json!("order 1");
        direct["metadata"] = json!({"order": 1});
        hold["flags"] = json!(["pending"]);
        hold["timeout"] = json!(3600);
        let post =
            json!({"id": transfer_id(2), "pending_id": transfer_id(1), "flags": ["post_pending"]});
        let past_the_limit = transfer(REFUSED, 60);
        vec![("direct", direct), ("hold", hold), ("post", post), ("past_the_limit", past_the_limit)]
    }

    fn applied() -> Examples<Value> {
        let hold = Inherited { debit_account: 1.into(), credit_account: 2.into(), code: 1 };
        let sent: Vec<Value> = Self::sent().into_iter().map(|(_, transfer)| transfer).collect();
        let answer = |number: usize, replayed, applied, dry_run| {
            answer::<Self>(&sent[number], Verdict::Applied { replayed, applied }, dry_run)
        };
        let dry = AppliedTransfer { recorded: None, ..transfer(0, 60, None) };
        vec![
            ("applied", answer(0, false, transfer(0, 60, None), false)),
            ("replayed", answer(0, true, transfer(0, 60, None), false)),
            ("dry_run", answer(0, false, dry, true)),
            ("held", answer(1, false, transfer(1, 20, None), false)),
            ("posted", answer(2, false, transfer(2, 20, Some(hold)), false)),
        ]
    }

    fn rejected() -> Examples<Problem> {
        let refused =
            |replayed| Problem::rejected(transfer_id(REFUSED), Reason::ExceedsCredits, replayed);
        vec![("rejected", refused(false)), ("replayed", refused(true))]
    }

    fn sent_many() -> Examples<Value> {
        let two = json!([
            {"id": transfer_id(4), "debit_account": 1, "credit_account": 2, "amount": 1},
            {"id": transfer_id(5), "debit_account": 1, "credit_account": 99, "amount": 1},
        ]);
        let chain = json!([
            {"id": transfer_id(6), "debit_account": 2, "credit_account": 1, "amount": 5, "flags": ["linked"]},
            {"id": transfer_id(7), "debit_account": 1, "credit_account": 2, "amount": 1000},
        ]);
        vec![("two", two), ("chain", chain)]
    }

    fn answered_many() -> Examples<Value> {
        let [(_, two), (_, chain)] = &Self::sent_many()[..] else { return Vec::new() };
        let refused = |sent, reason| {
            answer::<Self>(sent, Verdict::Rejected { replayed: false, reason }, false)
        };
        let applied = Verdict::Applied { replayed: false, applied: transfer(4, 1, None) };
        let two = json!([
            answer::<Self>(&two[0], applied, false),
            refused(&two[1], Reason::CreditAccountNotFound),
        ]);
        let chain = json!([
            refused(&chain[0], Reason::LinkedEventFailed),
            refused(&chain[1], Reason::ExceedsCredits),
        ]);
        vec![("two", two), ("chain", chain)]
    }
}

impl Described for Accounts {
    const FAULTY: &'static str = r#"{"id": 1, "overdraft_limit": -1}"#;

    fn shown_id() -> Id {
        Id::from(1)
    }

    fn sent() -> Examples<Value> {
        let flags = ["debits_must_not_exceed_credits"];
        let limited = json!({"id": 1, "flags": flags, "overdraft_limit": 100});
        let altered = json!({"id": 1, "flags": flags, "overdraft_limit": 200});
        let with_history = json!({"id": 2, "flags": ["history"]});
        vec![("limited", limited), ("with_history", with_history), ("altered", altered)]
    }

    fn applied() -> Examples<Value> {
        let [(_, limited), ..] = &Self::sent()[..] else { return Vec::new() };
        let answer = |replayed| {
            let verdict = Verdict::Applied { replayed, applied: created(limited, 0, 0) };
            answer::<Self>(limited, verdict, false)
        };
        vec![("applied", answer(false)), ("replayed", answer(true))]
    }

    fn rejected() -> Examples<Problem> {
        let reason = Reason::ExistsWithDifferentOverdraftLimit;
        vec![("rejected", Problem::rejected(Self::shown_id(), reason, false))]
    }

    fn sent_many() -> Examples<Value> {
        vec![("two", json!([{"id": 3, "reference": "fees"}, {"id": 4, "code": 7}]))]
    }

    fn answered_many() -> Examples<Value> {
        let [(_, two)] = &Self::sent_many()[..] else { return Vec::new() };
        let answer = |sent| {
            let verdict = Verdict::Applied { replayed: false, applied: created(sent, 0, 0) };
            answer::<Self>(sent, verdict, false)
        };
        vec![("two", json!([answer(&two[0]), answer(&two[1])]))]
    }
}

/// The first transfer as it is read.
pub(super) fn transfer_record() -> Value {
    record::<Transfers>(|_| transfer(0, 60, None))
}

/// The first transfer, to whom would cancel it.
pub(super) fn applied_before() -> Value {
    let Some((_, sent)) = Transfers::sent().into_iter().next() else { return Value::Null };
    let item = item::<Transfers>(&sent);
    let record = item.map(|item| Transfers::record(item, transfer(0, 60, None), true));
    or_problem(record.map(AppliedItem::replayed))
}

/// Ids that were settled: by this call, by an earlier one, and by a transfer that was refused.
pub(super) fn cancelled() -> Examples<Problem> {
    let cancelled = |replayed| Problem::rejected(transfer_id(8), Reason::Cancelled, replayed);
    let refused = Problem::rejected(transfer_id(REFUSED), Reason::ExceedsCredits, true);
    vec![
        ("cancelled", cancelled(false)),
        ("replayed", cancelled(true)),
        ("refused_before", refused),
    ]
}

/// The first account as it is read after these transfers.
pub(super) fn account_record() -> Value {
    record::<Accounts>(|sent| created(sent, 80, 3))
}

fn record<R: Described>(added: impl FnOnce(&Value) -> Applied<R>) -> Value {
    let Some((_, sent)) = R::sent().into_iter().next() else { return Value::Null };
    or_problem(item::<R>(&sent).map(|item| R::record(item, added(&sent), true)))
}

/// What the ledger adds to a transfer.
fn transfer(number: usize, amount: u128, inherited: Option<Inherited>) -> AppliedTransfer {
    let recorded = Recorded { seq: seq(number), created_at: moment() };
    AppliedTransfer { amount: Amount(amount), inherited, recorded: Some(recorded) }
}

/// What the ledger adds to an account.
fn created(sent: &Value, debits_posted: u128, version: i64) -> CreatedAccount {
    let zero = Amount(0);
    let balances = Balances {
        debits_pending: zero,
        debits_posted: Amount(debits_posted),
        credits_pending: zero,
        credits_posted: zero,
        version,
        created_at: moment(),
    };
    let flags = AccountFlags::deserialize(&sent["flags"]).unwrap_or_default();
    CreatedAccount { flags, balances }
}

/// The balances of the credited account after the first transfer.
pub(super) fn balance() -> BalanceRecord {
    let zero = Amount(0);
    BalanceRecord {
        seq: Some(seq(0)),
        version: 1,
        debits_pending: zero,
        debits_posted: zero,
        credits_pending: zero,
        credits_posted: Amount(60),
        created_at: moment(),
    }
}

/// One decision a batch: the first is the third batch's.
fn seq(number: usize) -> i64 {
    (number as i64 + 3) << 16 | 1
}

fn moment() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_795_305_600_000_001)
}

fn answer<R: Described>(sent: &Value, verdict: Verdict<Applied<R>>, dry_run: bool) -> Value {
    or_problem(item::<R>(sent).map(|item| Answer::new::<R>((item, verdict), dry_run)))
}

fn item<R: Described>(sent: &Value) -> Result<Item<R>, Problem> {
    let Object(input): Object<R::Input> = parse(sent.to_string().as_bytes())?;
    R::parse(input).map_err(|error| faulty(error, None))
}

/// An example that went wrong shows it: a test compares it with a real answer.
fn or_problem(answer: Result<impl Serialize, Problem>) -> Value {
    match answer {
        Ok(answer) => to_json(&answer),
        Err(problem) => to_json(&problem),
    }
}

pub(super) fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
