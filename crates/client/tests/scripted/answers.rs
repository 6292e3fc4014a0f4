//! One answer, and what follows from it.

use crate::script::{Server, Step};
use crate::{client, not_applied, payment};
use giro_client::{Error, HoldState, Stopped, TransferFlag};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_was_shed_is_sent_again_with_the_same_id_when_the_server_said() {
    let shed = Step::NotApplied { status: 503, reason: "queue_delay", retry_after_ms: Some(150) };
    let server = Server::with([shed, Step::Applied { replayed: false }]).await;
    let (payment, began) = (payment(), Instant::now());
    let applied = client(&server).transfer(&payment).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert!(!applied.replayed);
    assert_eq!(applied.record.id, payment.id);
    let seen = server.seen();
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[0].body["id"], payment.id.to_string());
}

#[tokio::test]
async fn retry_after_in_seconds_is_honoured_where_the_body_says_nothing() {
    let headers = &[("retry-after", "1")];
    let body = json!({"outcome": "not_applied", "reason": "draining"}).to_string();
    let shed = Step::Raw { status: 503, headers, body };
    let server = Server::with([shed, Step::Applied { replayed: false }]).await;
    let began = Instant::now();
    client(&server).transfer(&payment()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    server.seen();
}

#[tokio::test]
async fn a_client_over_its_share_comes_back_as_well() {
    let shed = Step::NotApplied { status: 429, reason: "client_share", retry_after_ms: Some(1) };
    let server = Server::with([shed, Step::Applied { replayed: false }]).await;
    client(&server).transfer(&payment()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_verdict_is_final() {
    let server = Server::with([Step::Rejected { reason: "exceeds_credits", replayed: true }]).await;
    let payment = payment();
    let error = client(&server).transfer(&payment).await.unwrap_err();
    assert!(error.is_definite());
    let Error::Rejected(rejected) = error else { panic!("{error:?}") };
    assert_eq!((rejected.id, &*rejected.reason), (payment.id, "exceeds_credits"));
    assert!(rejected.replayed);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_is_malformed_is_not_sent_again() {
    let problem = json!({
        "outcome": "not_applied", "detail": "amount must be …", "field": "amount", "index": 3,
    });
    let proxy = "<html>request entity too large</html>";
    for (step, field, index) in [
        (Step::raw(400, &problem), Some("amount"), Some(3)),
        (Step::raw(413, proxy), None, None),
        (Step::raw(301, ""), None, None),
    ] {
        let server = Server::with([step]).await;
        let error = client(&server).transfer(&payment()).await;
        assert!(error.as_ref().unwrap_err().is_definite());
        let error = not_applied(error);
        assert_eq!((error.field.as_deref(), error.index), (field, index));
        assert_eq!((error.attempts, error.stopped), (1, Stopped::Final));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn what_never_ran_is_given_up_after_three_tries() {
    let server = Server::with([Step::shed(), Step::shed(), Step::shed()]).await;
    let error = not_applied(client(&server).transfer(&payment()).await);
    assert_eq!((error.status, error.reason.as_deref()), (Some(503), Some("queue_full")));
    assert_eq!((error.attempts, error.stopped), (3, Stopped::Tries));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_record_is_read_as_it_was_written() {
    let server = Server::with([Step::Applied { replayed: false }]).await;
    let record = client(&server).transfer(&payment()).await.unwrap().record;
    assert_eq!((record.amount, record.seq), (u128::MAX, 65537));
    assert_eq!(record.flags, [TransferFlag::Pending, TransferFlag::Other]);
    assert_eq!(record.state, Some(HoldState::Pending));
    assert_eq!(record.metadata.unwrap()["order"], 1);
    server.seen();
}
