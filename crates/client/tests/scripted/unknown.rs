//! A result that was not learnt is resolved by the same id, or stays unknown.

use crate::script::{Server, Step};
use crate::{client, not_applied, payment, quick, unknown};
use giro_client::{Client, Error, Stopped, Transfer, Verdict};
use serde_json::json;
use std::time::{Duration, Instant};

const REPLAYED: Step = Step::Applied { replayed: true };

#[tokio::test]
async fn an_unknown_result_is_resolved_by_sending_the_same_id() {
    let payment = payment();
    let elsewhere = json!({"outcome": "applied", "id": "another"});
    for first in [
        Step::Unknown,
        Step::Cut,
        Step::raw(200, "{\"outcome\": \"applied\""),
        Step::raw(200, &elsewhere),
        Step::raw(200, json!({"outcome": "rejected", "reason": "exists", "id": payment.id})),
        Step::raw(422, "<html>"),
        Step::raw(500, "<html>"),
        Step::raw(502, "<html>bad gateway</html>"),
        Step::raw(503, "upstream connect error or disconnect/reset before headers"),
        Step::raw(504, "<html>"),
    ] {
        let server = Server::with([first, REPLAYED]).await;
        let applied = client(&server).transfer(&payment).await.unwrap();
        assert!(applied.replayed);
        let seen = server.seen();
        assert_eq!(seen[0].body, seen[1].body);
        assert_eq!(seen[0].body["id"], payment.id.to_string());
    }
}

#[tokio::test]
async fn a_refusal_settles_what_was_unknown() {
    let refused = Step::Rejected { reason: "exceeds_credits", replayed: true };
    let server = Server::with([Step::Unknown, refused]).await;
    let error = client(&server).transfer(&payment()).await.unwrap_err();
    assert!(error.is_definite(), "{error}");
    server.seen();
}

#[tokio::test]
async fn an_unknown_result_stays_unknown_when_the_resends_never_ran() {
    let late =
        Step::NotApplied { status: 503, reason: "breaker_open", retry_after_ms: Some(60_000) };
    let fault = Step::raw(400, json!({"outcome": "not_applied"}));
    let too_many =
        Step::NotApplied { status: 429, reason: "client_share", retry_after_ms: Some(0) };
    for (last, stopped) in [(late, Stopped::Deadline), (fault, Stopped::Final)] {
        let steps = [Step::Unknown, Step::shed(), Step::shed(), too_many.clone(), last];
        let server = Server::with(steps).await;
        let payment = payment();
        let error = unknown(client(&server).transfer(&payment).await);
        assert_eq!(error.ids, [payment.id]);
        assert!(error.detail.contains("504"), "{error}");
        assert_eq!((error.attempts, error.stopped), (5, stopped));
        assert_eq!(server.seen().len(), 5);
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_recorded_settles_no_earlier_attempt() {
    let payment = payment();
    let refusal = Step::Rejected { reason: "refused_by_database", replayed: false };
    let server = Server::with([refusal.clone()]).await;
    let refused = client(&server).transfer(&payment).await.unwrap_err();
    assert!(matches!(refused, Error::Rejected(_)), "on its own it is definite: {refused}");

    let server = Server::with([Step::Unknown, refusal.clone(), REPLAYED]).await;
    assert!(client(&server).transfer(&payment).await.unwrap().replayed);

    let fault = || Step::raw(400, "");
    let server = Server::with([Step::Unknown, refusal.clone(), refusal, fault()]).await;
    let error = unknown(client(&server).transfer(&payment).await);
    assert_eq!((error.attempts, &error.ids[..]), (4, &[payment.id][..]));
    assert!(error.detail.contains("504"), "{error}");

    let item = json!({"outcome": "rejected", "reason": "refused_by_database", "id": payment.id});
    let items = || Step::raw(200, json!([item]));
    let server = Server::with([items(), Step::Unknown, items(), fault()]).await;
    let client = client(&server);
    let verdicts = client.transfers(std::slice::from_ref(&payment)).await.unwrap();
    assert!(matches!(&verdicts[..], [Verdict::Rejected(_)]), "{verdicts:?}");
    assert_eq!(unknown(client.transfers(&[payment]).await).attempts, 3);
}

#[tokio::test]
async fn an_error_that_is_not_giros_proves_nothing() {
    for status in [422, 500, 502, 503, 504] {
        let steps = || [Step::raw(status, "{}"), Step::raw(400, "")];
        let server = Server::with(steps().into_iter().chain(steps())).await;
        let error = unknown(client(&server).transfer(&payment()).await);
        assert!(error.detail.contains(&status.to_string()), "{error}");
        unknown(client(&server).transfers(&[payment()]).await);
        server.seen();
    }
}

#[tokio::test]
async fn an_unknown_result_stays_unknown_when_the_server_is_gone() {
    let server = Server::with([Step::Cut]).await;
    let client = server.client().deadline(Duration::from_millis(300)).retries(quick());
    let client = client.build().unwrap();
    let payment = payment();
    let call = client.transfer(&payment);
    let gone = async {
        while server.asked() == 0 {
            tokio::task::yield_now().await;
        }
        server.stop_listening();
    };
    let (result, ()) = tokio::join!(call, gone);
    let error = unknown(result);
    assert_eq!(error.stopped, Stopped::Deadline);
    assert!(error.attempts > 1, "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_is_definite() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder(&url).retries(quick()).build().unwrap();
    let error = not_applied(client.transfer(&payment()).await);
    assert_eq!((error.status, error.attempts), (None, 3));
    assert!(error.detail.contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown_and_its_connection_is_not_used_again() {
    let server = Server::with([Step::Silence, REPLAYED]).await;
    let client = server.client().deadline(Duration::from_secs(20)).retries(quick());
    let client = client.attempt_timeout(Duration::from_millis(200)).build().unwrap();
    let began = Instant::now();
    assert!(client.transfer(&payment()).await.unwrap().replayed);
    assert!(began.elapsed() >= Duration::from_millis(200));
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [1, 2]);
}

#[tokio::test]
async fn a_call_ends_by_its_deadline() {
    let server = Server::with([Step::Silence]).await;
    let client = server.client().deadline(Duration::from_millis(200)).build().unwrap();
    let error = unknown(client.transfer(&payment()).await);
    assert_eq!(error.stopped, Stopped::Deadline);
    server.seen();
}

#[tokio::test]
async fn many_are_unknown_together() {
    let server = Server::with([Step::Unknown, Step::raw(200, "[]"), Step::raw(400, "")]).await;
    let payments: Vec<Transfer> = (0..3).map(|_| payment()).collect();
    let error = unknown(client(&server).transfers(&payments).await);
    let ids: Vec<_> = payments.iter().map(|payment| payment.id).collect();
    assert_eq!(error.ids, ids);
    let seen = server.seen();
    assert!(seen.windows(2).all(|pair| pair[0].body == pair[1].body));
}
