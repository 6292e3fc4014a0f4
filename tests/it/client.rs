//! The client crate against a real server.

use giro_client::{
    Account, AccountFlag, Client, Error, HoldState, Id, RetryPolicy, Stopped, Transfer,
    TransferFlag, TransferState, Verdict,
};
use giro_tests::TestServer;
use std::path::Path;

fn client(server: &TestServer) -> Client {
    Client::builder(&format!("http://{}", server.address())).build().unwrap()
}

#[track_caller]
fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, bool) {
    match result {
        Err(Error::Rejected(rejected)) => (rejected.reason, rejected.replayed),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_client_and_the_server_understand_each_other() {
    let server = TestServer::start().await;
    let giro = client(&server);

    let mut poor = Account::new(Id::new());
    poor.flags = vec![AccountFlag::DebitsMustNotExceedCredits, AccountFlag::History];
    poor.overdraft_limit = 100;
    poor.reference = Some("poor".into());
    let rich = Account::new(Id::new());
    assert!(!giro.create_account(&poor).await.unwrap().replayed);
    let verdicts = giro.create_accounts(&[poor.clone(), rich.clone()]).await.unwrap();
    let replayed = verdicts.into_iter().map(|verdict| verdict.into_result().unwrap().replayed);
    assert_eq!(replayed.collect::<Vec<_>>(), [true, false]);

    let mut payment = Transfer::new(poor.id, rich.id, 60);
    payment.reference = Some("order 1".into());
    payment.metadata = serde_json::json!({"order": 1}).as_object().cloned();
    payment.expect.debit_version = Some(0);
    let applied = giro.transfer(&payment).await.unwrap();
    assert!(!applied.replayed);
    assert_eq!((applied.record.amount, applied.record.id), (60, payment.id));
    assert_eq!(applied.record.metadata, payment.metadata);
    let again = giro.transfer(&payment).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.record, applied.record);

    let too_much = Transfer::new(poor.id, rich.id, 60);
    let refused = ("exceeds_credits".to_owned(), false);
    assert_eq!(reason(giro.transfer(&too_much).await), refused);
    assert_eq!(reason(giro.transfer(&too_much).await), (refused.0.clone(), true));
    let state = giro.get_transfer(1, too_much.id).await.unwrap();
    assert!(matches!(state, TransferState::Rejected(why) if why.reason == refused.0));
    assert_eq!(giro.get_transfer(1, Id::new()).await.unwrap(), TransferState::Undecided);

    let balance = giro.get_account(1, poor.id).await.unwrap().unwrap();
    assert_eq!((balance.debits_posted, balance.version), (60, 1));
    assert_eq!((balance.flags, balance.reference), (poor.flags, poor.reference));
    assert_eq!(giro.get_account(2, poor.id).await.unwrap(), None);

    let mut malformed = Transfer::new(poor.id, rich.id, 1);
    malformed.code = None;
    malformed.reference = Some("x".repeat(129));
    let Err(Error::NotApplied(error)) = giro.transfer(&malformed).await else { panic!("taken") };
    assert_eq!((error.status, error.field.as_deref()), (Some(400), Some("reference")));
    assert_eq!((error.attempts, error.stopped), (1, Stopped::Final));
    server.database.assert_consistent().await;
}

#[tokio::test]
async fn a_bulk_with_holds_and_a_broken_chain_is_answered_by_position() {
    let server = TestServer::start().await;
    let giro = client(&server);
    let [one, two] = [Id::from(1), Id::from(2)];
    for account in giro.create_accounts(&[one, two].map(Account::new)).await.unwrap() {
        account.into_result().unwrap();
    }
    let hold = Transfer::hold(one, two, 70);
    let mut post = Transfer::post(hold.id);
    post.amount = Some(50);
    let mut linked = Transfer::new(one, two, 1);
    linked.flags = vec![TransferFlag::Linked];
    let nowhere = Transfer::new(one, Id::from(3), 1);
    let bulk = [hold.clone(), post, linked, nowhere];
    for replayed in [false, true] {
        let verdicts = giro.transfers(&bulk).await.unwrap();
        let told: Vec<_> = verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Applied(applied) => (applied.replayed, applied.record.amount.to_string()),
                Verdict::Rejected(rejected) => (rejected.replayed, rejected.reason),
            })
            .collect();
        let told: Vec<_> = told.iter().map(|(again, what)| (*again, what.as_str())).collect();
        let expected = ["70", "50", "linked_event_failed", "credit_account_not_found"];
        assert_eq!(told, expected.map(|what| (replayed, what)));
    }
    let state = giro.get_transfer(1, hold.id).await.unwrap();
    let TransferState::Applied(record) = state else { panic!("{state:?}") };
    assert_eq!(record.state, Some(HoldState::Posted));
    server.database.assert_consistent().await;
}

#[test]
fn the_documents_show_the_code_of_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let example = read("crates/client/examples/pay.rs");
    let lines: Vec<&str> = example.lines().map(str::trim).collect();
    for document in ["README.md", "docs/clients.md"] {
        let text = read(document);
        let shown = text.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
        for line in shown.lines() {
            assert!(lines.contains(&line.trim()), "{document}: {line}");
        }
    }
}

#[test]
fn the_page_for_clients_has_the_defaults() {
    let retries = RetryPolicy::default();
    let (base, cap) = (retries.base.as_millis(), retries.cap.as_secs());
    let (percent, second) = (retries.budget_percent, retries.budget_per_second);
    let page = include_str!("../../docs/clients.md");
    for row in [
        format!("| `retries.max_tries` | {} |", retries.max_tries),
        format!("| `retries.base`, `cap` | {base} ms, {cap} s |"),
        format!("| `retries.budget_percent`, `budget_per_second` | {percent}, {second} |"),
    ] {
        assert!(page.contains(&row), "docs/clients.md must contain {row}");
    }
}
