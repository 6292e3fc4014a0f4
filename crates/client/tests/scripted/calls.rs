//! Each call: what it sends, and what it makes of the answer.

use crate::script::{Server, Step, record};
use crate::{client, payment};
use giro_client::{
    Account, AccountFlag, ExpectedVersions, Id, Scope, Transfer, TransferFlag, TransferRecord,
    TransferState, Verdict,
};
use serde_json::{Value, json};

const ACCOUNT: &str = r#"{"id": "00000000-0000-0000-0000-000000000007", "ledger": 3, "code": 1,
    "flags": ["history"], "overdraft_limit": "5", "debits_pending": "1", "debits_posted": "2",
    "credits_pending": "3", "credits_posted": "4", "version": "6", "created_at": "2026-11-22T10:00:00Z""#;

#[tokio::test]
async fn every_field_of_a_transfer_is_sent_as_the_api_has_it() {
    let server = Server::with((0..3).map(|_| Step::Applied { replayed: false })).await;
    let client = server.client().client_header("x-client", "billing").build().unwrap();
    let [debit, credit, hold] = [1, 2, 3].map(Id::from);
    let mut full = Transfer::hold(debit, credit, u128::MAX);
    full.flags.push(TransferFlag::Linked);
    full.ledger = 9;
    full.code = Some(7);
    full.timeout = Some(60);
    full.reference = Some("order 1".into());
    full.metadata = json!({"order": 1}).as_object().cloned();
    full.expect = ExpectedVersions { debit_version: Some(4), credit_version: None };
    full.timestamp = Some("2026-11-22T10:00:00.000001Z".into());
    let mut post = Transfer::post(hold);
    post.scope = Scope::Chain;
    let plain = payment();
    for transfer in [&full, &post, &plain] {
        client.transfer(transfer).await.unwrap();
    }
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.client.as_deref() == Some("billing")));
    let (debit, credit) = (debit.to_string(), credit.to_string());
    assert_eq!(
        seen[0].body,
        json!({
            "id": full.id, "ledger": 9, "debit_account": debit, "credit_account": credit,
            "amount": u128::MAX.to_string(), "code": 7, "flags": ["pending", "linked"], "timeout": 60,
            "reference": "order 1", "metadata": {"order": 1}, "expect": {"debit_version": 4},
            "timestamp": "2026-11-22T10:00:00.000001Z",
        })
    );
    let flags = ["post_pending"];
    let post =
        json!({"id": post.id, "ledger": 1, "flags": flags, "pending_id": hold, "scope": "chain"});
    assert_eq!(seen[1].body, post);
    let (id, ledger) = (plain.id, 1);
    assert_eq!(
        seen[2].body,
        json!({"id": id, "ledger": ledger, "debit_account": debit, "credit_account": credit, "amount": "100"})
    );
}

#[tokio::test]
async fn many_are_answered_by_position() {
    let payments = [payment(), payment(), payment()];
    let applied = |of: &Transfer, replayed: bool| {
        let mut item = record(&json!(of.id));
        item["outcome"] = "applied".into();
        item["replayed"] = replayed.into();
        item
    };
    let refused = json!({"outcome": "rejected", "reason": "exceeds_credits", "id": payments[1].id});
    let answer = json!([applied(&payments[0], true), refused, applied(&payments[2], false)]);
    let server = Server::with([Step::shed(), Step::raw(200, &answer)]).await;
    let client = client(&server);
    assert_eq!(client.transfers(&[]).await.unwrap(), []);
    let verdicts = client.transfers(&payments).await.unwrap();
    let told = |verdict: &Verdict<TransferRecord>| match verdict {
        Verdict::Applied(applied) => (applied.record.id, applied.replayed, String::new()),
        Verdict::Rejected(rejected) => (rejected.id, rejected.replayed, rejected.reason.clone()),
    };
    let told: Vec<_> = verdicts.iter().map(told).collect();
    let [first, second, third] = [0, 1, 2].map(|i: usize| payments[i].id);
    let refused = "exceeds_credits".to_owned();
    assert_eq!(
        told,
        [(first, true, "".into()), (second, false, refused), (third, false, "".into())]
    );
    let seen = server.seen();
    assert_eq!(seen[0].body, seen[1].body, "the same ids");
    assert_eq!(seen[0].uri, "/transfers");
}

#[tokio::test]
async fn items_in_another_order_are_not_an_answer() {
    let payments = [payment(), payment()];
    let item = |of: &Transfer| json!({"outcome": "rejected", "reason": "exists", "id": of.id});
    let swapped = json!([item(&payments[1]), item(&payments[0])]);
    let right = json!([item(&payments[0]), item(&payments[1])]);
    let server = Server::with([Step::raw(200, &swapped), Step::raw(200, &right)]).await;
    assert_eq!(client(&server).transfers(&payments).await.unwrap().len(), 2);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_account_is_created_and_read() {
    let created = format!("{ACCOUNT}, \"outcome\": \"applied\", \"replayed\": true}}");
    let read = format!("{ACCOUNT}}}");
    let none = json!({"status": 404, "id": Id::from(7)});
    let steps = [created.clone(), format!("[{created}]"), read].map(|body| Step::raw(200, body));
    let server = Server::with(steps.into_iter().chain([Step::raw(404, &none)])).await;
    let client = client(&server);
    let mut account = Account::new(Id::from(7));
    account.ledger = 3;
    account.flags = vec![AccountFlag::History];
    account.overdraft_limit = 5;
    let applied = client.create_account(&account).await.unwrap();
    assert!(applied.replayed);
    let many = client.create_accounts(std::slice::from_ref(&account)).await.unwrap();
    assert_eq!(many, [Verdict::Applied(applied.clone())]);
    let found = client.get_account(3, account.id).await.unwrap().unwrap();
    assert_eq!(found, applied.record);
    let posted = (found.debits_posted, found.credits_posted, found.version);
    assert_eq!((posted, &*found.flags), ((2, 4, 6), &[AccountFlag::History][..]));
    assert_eq!(client.get_account(3, account.id).await.unwrap(), None);
    let seen = server.seen();
    let sent = json!({"id": account.id, "ledger": 3, "code": 1, "flags": ["history"], "overdraft_limit": "5"});
    assert_eq!((&seen[0].body, &seen[1].body), (&sent, &json!([sent])));
    assert_eq!(seen[2].uri, format!("/accounts/{}?ledger=3", account.id).as_str());
}

#[tokio::test]
async fn a_read_says_what_is_known_of_an_id() {
    let id = Id::from(8);
    let rejected =
        json!({"id": id, "outcome": "rejected", "reason": "exceeds_credits", "replayed": true});
    let undecided = json!({"id": id, "detail": "there is none"});
    let steps = [(200, record(&json!(id))), (404, rejected), (404, undecided)];
    let steps = steps.into_iter().map(|(status, body)| Step::raw(status, body));
    let late = Step::raw(504, json!({"detail": "the deadline passed"}));
    let server = Server::with([late].into_iter().chain(steps)).await;
    let client = client(&server);
    let applied = client.get_transfer(1, id).await.unwrap();
    assert!(matches!(applied, TransferState::Applied(record) if record.id == id), "after a retry");
    let rejected = client.get_transfer(1, id).await.unwrap();
    assert!(matches!(rejected, TransferState::Rejected(why) if why.reason == "exceeds_credits"));
    assert_eq!(client.get_transfer(1, id).await.unwrap(), TransferState::Undecided);
    assert_eq!(server.seen()[0].uri, format!("/transfers/{id}?ledger=1").as_str());
}

#[tokio::test]
async fn a_404_that_is_not_about_the_id_is_no_news_of_it() {
    for body in [Value::Null, json!({"outcome": "not_applied"}), json!({"id": Id::from(9)})] {
        let server = Server::with([Step::raw(404, body)]).await;
        let error = client(&server).get_transfer(1, Id::from(8)).await.unwrap_err();
        assert_eq!((error.status, error.attempts), (Some(404), 1));
        server.seen();
    }
}

#[tokio::test]
async fn a_cancelled_id_is_settled_either_way() {
    let payment = payment();
    let id = payment.id;
    let refused = json!({"outcome": "rejected", "reason": "cancelled", "id": id});
    let mut applied = record(&json!(id));
    applied["outcome"] = "applied".into();
    applied["replayed"] = true.into();
    let steps = [Step::Unknown, Step::raw(422, &refused), Step::raw(200, &applied)];
    let server = Server::with(steps).await;
    let client = client(&server);
    let Verdict::Rejected(rejected) = client.cancel(1, id).await.unwrap() else {
        panic!("applied")
    };
    assert_eq!(rejected.reason, "cancelled");
    let Verdict::Applied(applied) = client.cancel(1, id).await.unwrap() else { panic!("refused") };
    assert!(applied.replayed);
    for seen in server.seen() {
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.uri, format!("/transfers/{id}/cancel?ledger=1").as_str());
    }
}
