//! `/openapi.json` describes every route, and its examples are what happens.

use crate::replies::altered;
use crate::stalled::{Stalled, transfer};
use giro_tests::{Reply, TestServer, eventually};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const CANCEL: &str = "/transfers/{id}/cancel";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The document of a server.
struct Document(Value);

impl Document {
    async fn of(server: &TestServer) -> Self {
        let reply = server.client.get("/openapi.json").await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, "application/json")
        );
        Self(reply.json)
    }

    /// A body as it is sent.
    fn sent(&self, path: &str, name: &str) -> Value {
        let body = &self.0["paths"][path]["post"]["requestBody"]["content"]["application/json"];
        let value = &body["examples"][name]["value"];
        assert!(!value.is_null(), "{path} has no example {name}");
        value.clone()
    }

    /// Asserts that a reply is what the document shows under a name.
    fn shows(&self, method: &str, path: &str, name: &str, reply: &Reply) {
        let status = reply.status.as_str();
        let operation = &self.0["paths"][path][method];
        let mut shown = &operation["responses"][status];
        if let Some(place) = shown["$ref"].as_str() {
            shown = self.0.pointer(place.trim_start_matches('#')).expect("what is referred to");
        }
        let content = &shown["content"][reply.header("content-type")];
        let example = &content["examples"][name]["value"];
        let what = format!("{method} {path} {status} {name}");
        assert!(!example.is_null(), "{what} is not shown: {}", reply.text);
        assert_eq!(masked(example), masked(&reply.json), "{what}");
        for header in shown["headers"].as_object().expect("headers").keys() {
            assert!(!reply.header(header).is_empty(), "{what} has no {header}");
        }
        let described = shown["headers"].get("Retry-After").is_some();
        assert_eq!(described, !reply.header("retry-after").is_empty(), "{what}: Retry-After");
    }
}

/// Times, numbers of batches and what is made from them differ from run to run.
fn masked(json: &Value) -> Value {
    let mask = |(name, value): (&String, &Value)| match name.as_str() {
        "created_at" | "seq" | "next_cursor" | "retry_after_ms" => {
            (name.clone(), json!("(varies)"))
        }
        _ => (name.clone(), masked(value)),
    };
    match json {
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(fields) => Value::Object(fields.iter().map(mask).collect()),
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_committed_document_is_the_one_that_is_served() {
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let printed = Command::new(program).arg("openapi").current_dir(ROOT).output().await.unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let committed = std::fs::read(format!("{ROOT}/docs/openapi.json")).unwrap_or_default();
    let update = "cargo run -p giro-server -- openapi > docs/openapi.json";
    assert!(printed.stdout == committed, "docs/openapi.json is of another version: {update}");
    let server = TestServer::start().await;
    let committed: Value = serde_json::from_slice(&committed).unwrap();
    assert!(Document::of(&server).await.0 == committed, "{update}");
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let routes = std::fs::read_to_string(format!("{ROOT}/crates/server/src/http.rs")).unwrap();
    let routes: BTreeSet<(String, String)> = routes
        .lines()
        .filter_map(|line| line.trim().strip_prefix(r#".route(""#)?.split_once(r#"", "#))
        .filter(|(path, _)| *path != "/openapi.json" && !path.starts_with("/docs"))
        .map(|(path, handler)| (path.into(), handler.split('(').next().unwrap().into()))
        .collect();
    assert!(routes.len() >= 10, "{routes:?}");
    let document = Document::of(&TestServer::start().await).await;
    let paths = document.0["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect()
    };
    assert_eq!(paths.iter().flat_map(methods).collect::<BTreeSet<_>>(), routes);
}

#[tokio::test]
async fn the_examples_of_what_is_applied_and_read_are_what_happens() {
    let server = TestServer::start().await;
    let document = Document::of(&server).await;
    let sent = async |path: &str, query: &str, example: &str, name: &str| {
        let body = document.sent(path, example);
        let reply = server.client.post(&format!("{path}{query}"), &body).await;
        document.shows("post", path, name, &reply);
        reply
    };
    sent("/account", "", "limited", "applied").await;
    sent("/account", "", "limited", "replayed").await;
    sent("/account", "", "altered", "rejected").await;
    let with_history = document.sent("/account", "with_history");
    assert_eq!(server.client.post("/account", &with_history).await.outcome(), "applied");
    sent("/accounts", "", "two", "two").await;
    sent("/transfer", "?dry_run=true", "direct", "dry_run").await;
    let direct = sent("/transfer", "", "direct", "applied").await;
    sent("/transfer", "", "direct", "replayed").await;
    sent("/transfer", "", "hold", "held").await;
    sent("/transfer", "", "post", "posted").await;
    sent("/transfer", "", "past_the_limit", "rejected").await;
    let refused = sent("/transfer", "", "past_the_limit", "replayed").await;

    let id = |reply: &Reply| reply.json["id"].as_str().unwrap().to_owned();
    let undecided = format!("{}0100", &id(&direct)[..32]);
    let seq = direct.json["seq"].as_str().unwrap();
    for (described, real, name) in [
        ("/accounts/{id}", "/accounts/1", "account"),
        ("/accounts/{id}", "/accounts/1?ledger=2", "none"),
        ("/accounts", "/accounts?limit=1", "page"),
        ("/accounts/{id}/transfers", "/accounts/1/transfers?limit=1&order=asc", "page"),
        ("/accounts/{id}/transfers", "/accounts/99/transfers", "no_account"),
        ("/accounts/{id}/balances", "/accounts/2/balances?limit=1&order=asc", "page"),
        ("/accounts/{id}/balances", &format!("/accounts/2/balances?at={seq}"), "at"),
        ("/accounts/{id}/balances", "/accounts/2/balances?at=1970-01-01T00:00:00Z", "not_yet"),
        ("/accounts/{id}/balances", "/accounts/1/balances", "no_history"),
        ("/accounts/{id}/balances", "/accounts/99/balances", "no_account"),
        ("/transfers", "/transfers?limit=1&order=asc", "page"),
        ("/transfers/{id}", &format!("/transfers/{}", id(&direct)), "applied"),
        ("/transfers/{id}", &format!("/transfers/{}", id(&refused)), "rejected"),
        ("/transfers/{id}", &format!("/transfers/{undecided}"), "undecided"),
    ] {
        document.shows("get", described, name, &server.client.get(real).await);
    }
    let cancelled = format!("{}0009", &id(&direct)[..32]);
    for (id, name) in [
        (&id(&direct), "applied_before"),
        (&id(&refused), "refused_before"),
        (&cancelled, "cancelled"),
        (&cancelled, "replayed"),
    ] {
        let real = format!("/transfers/{id}/cancel");
        let reply = server.client.send(Method::POST, &real, &[], "").await.unwrap();
        document.shows("post", CANCEL, name, &reply);
    }
    let superuser = server.database.superuser().await;
    superuser.batch_execute("REVOKE SELECT ON giro.transfers FROM giro_server").await.unwrap();
    let real = format!("/transfers/{}/cancel", id(&direct));
    let unread = server.client.send(Method::POST, &real, &[], "").await.unwrap();
    document.shows("post", CANCEL, "unread", &unread);
    sent("/transfers", "", "two", "two").await;
    sent("/transfers", "", "chain", "chain").await;
}

#[tokio::test]
async fn the_examples_of_what_is_malformed_are_what_happens() {
    let server = TestServer::configured(|config| {
        config.server.body_timeout.0 = Duration::from_millis(200);
    })
    .await;
    let document = Document::of(&server).await;
    let client = &server.client;
    let (id, other) = ("0192f0c1-2345-7000-8000-000000000001", [("idempotency-key", "5")]);
    let fault = r#"{"debit_account": 1, "credit_account": 2, "amount": 1.5}"#;
    for (one, many, fault) in [
        ("/transfer", "/transfers", fault),
        ("/account", "/accounts", r#"{"id": 1, "overdraft_limit": -1}"#),
    ] {
        let sound =
            format!(r#"{{"id": "{id}", "debit_account": 1, "credit_account": 2, "amount": 1}}"#);
        let sound = if one == "/account" { format!(r#"{{"id": "{id}"}}"#) } else { sound };
        for (path, body, name) in [
            (one, fault.to_owned(), "fault_in_a_field"),
            (many, format!("[{{}}, {fault}]"), "fault_in_a_field"),
            (one, " ".repeat(64 * 1024 + 1), "too_large"),
            (many, " ".repeat(1024 * 1024 + 1), "too_large"),
            (many, "[]".into(), "no_items"),
        ] {
            let reply = client.post_with(path, &[], &body).await.unwrap();
            document.shows("post", path, name, &reply);
        }
        for (path, body) in [(one, sound.clone()), (many, format!("[{sound}]"))] {
            let reply = client.post_with(path, &other, &body).await.unwrap();
            document.shows("post", path, "idempotency_key", &reply);
            let reply = client.send(Method::POST, path, &[], &body).await.unwrap();
            document.shows("post", path, "not_json", &reply);
            let reply = client.send(Method::DELETE, path, &[], "").await.unwrap();
            document.shows("post", path, "no_method", &reply);
        }
        let nothing = [("request-timeout-ms", "0")];
        let reply = client.post_with(one, &nothing, "{}").await.unwrap();
        document.shows("post", one, "deadline", &reply);
    }
    for (described, real, name) in [
        ("/accounts/{id}", "/accounts/x", "id"),
        ("/transfers/{id}", "/transfers/1?ledger=0", "ledger"),
        ("/transfers/{id}", "/transfers/1?colour=red", "parameter"),
        ("/transfers", "/transfers?colour=red", "parameter"),
        ("/accounts/{id}/balances", "/accounts/1/balances?limit=0", "limit"),
    ] {
        document.shows("get", described, name, &client.get(real).await);
    }
    for (real, name) in [
        ("/transfers/x/cancel", "id"),
        ("/transfers/1/cancel?ledger=0", "ledger"),
        ("/transfers/1/cancel?colour=red", "parameter"),
    ] {
        let reply = client.send(Method::POST, real, &[], "").await.unwrap();
        document.shows("post", CANCEL, name, &reply);
    }
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /transfer HTTP/1.1\r\nhost: giro\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{answer}");
    let shown =
        "/components/responses/TooSlow/content/application~1problem+json/examples/too_slow/value";
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(document.0.pointer(shown), Some(&body));
}

#[tokio::test]
async fn the_examples_of_what_is_shed_or_unknown_are_what_happens() {
    let stalled = Stalled::new().await;
    let document = Document::of(&stalled.server).await;
    let client = stalled.server.client;
    let direct = document.sent("/transfer", "direct");
    let soon = [("request-timeout-ms", "300")];
    let late = client.post_with("/transfer", &soon, &direct.to_string()).await.unwrap();
    document.shows("post", "/transfer", "deadline", &late);
    let queued: Vec<_> = (1..=4).map(|id| stalled.post(id)).collect();
    stalled.queued(4.0).await;
    document.shows("post", "/transfer", "queue_full", &client.post("/transfer", &direct).await);
    let reply = client.post("/transfers", &json!([direct])).await;
    document.shows("post", "/transfers", "queue_full", &reply);
    let cancel = format!("/transfers/{}/cancel", direct["id"].as_str().unwrap());
    let cancelled = async |headers: &[(&str, &str)]| {
        client.send(Method::POST, &cancel, headers, "").await.unwrap()
    };
    document.shows("post", CANCEL, "queue_full", &cancelled(&[]).await);
    stalled.go_on().await;
    for sent in queued {
        assert_eq!(sent.await.unwrap().outcome(), "applied");
    }
    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    stalled.holder.batch_execute(lock).await.unwrap();
    let sent = client.post_with("/transfer", &soon, &direct.to_string()).await.unwrap();
    document.shows("post", "/transfer", "unknown", &sent);
    // A cancel waits for no account, but behind what is in flight; sooner it would not be let in.
    let later = [("request-timeout-ms", "3000")];
    document.shows("post", CANCEL, "unknown", &cancelled(&later).await);

    // It is still in flight, so that the stop takes a while.
    let admin = stalled.server.admin;
    let stopping = tokio::spawn(stalled.server.stop());
    eventually("not ready", async || admin.get("/readyz").await.status == 503).await;
    document.shows("post", "/transfer", "draining", &client.post("/transfer", &direct).await);
    stalled.holder.batch_execute("ROLLBACK").await.unwrap();
    stopping.await.unwrap();
}

#[tokio::test]
async fn the_examples_of_what_waits_too_long_or_is_rolled_back_are_what_happens() {
    let server = TestServer::configured(|config| {
        crate::stalled::patient(config);
        config.queue.max_wait.0 = Duration::from_millis(300);
        config.queue.target_wait.0 = Duration::from_millis(300);
        config.batch.in_flight = 1;
    })
    .await;
    server.accounts(2).await;
    let document = Document::of(&server).await;
    let client = server.client;
    let direct = document.sent("/transfer", "direct");
    let holder = server.database.superuser().await;
    let lock = "BEGIN; SELECT FROM giro.account_state WHERE id::text LIKE '%1' FOR UPDATE";
    holder.batch_execute(lock).await.unwrap();
    let in_flight = tokio::spawn(async move { client.post("/transfer", &transfer(1)).await });
    let metric = r#"giro_batches_in_flight{batcher="transfers"}"#;
    eventually("in flight", async || server.metric(metric).await == 1.0).await;
    document.shows("post", "/transfer", "queue_delay", &client.post("/transfer", &direct).await);
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(in_flight.await.unwrap().outcome(), "applied");

    let raise = "RAISE EXCEPTION 'no' USING ERRCODE = 'insufficient_privilege'; -- Write in sets";
    altered(&server.database, "-- Write in sets", raise).await;
    document.shows("post", "/transfer", "rolled_back", &client.post("/transfer", &direct).await);
}

#[tokio::test]
async fn the_examples_of_what_cannot_be_read_are_what_happens() {
    let server = TestServer::configured(|config| {
        config.database.connect_timeout.0 = Duration::from_millis(500);
    })
    .await;
    let document = Document::of(&server).await;
    let holder = server.database.superuser().await;
    server.database.allow_connections(false).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE 'giro%'";
    holder.query(kill, &[]).await.unwrap();
    let patience = [("request-timeout-ms", "20000")];
    let get = async |headers: &[(&str, &str)]| {
        server.client.send(Method::GET, "/accounts/1", headers, "").await.unwrap()
    };
    document.shows("get", "/accounts/{id}", "unavailable", &get(&patience).await);
    let body = transfer(1).to_string();
    let dry = server.client.post_with("/transfer?dry_run=true", &patience, &body).await.unwrap();
    assert_eq!((dry.status.as_u16(), dry.outcome(), dry.reason()), (503, "not_applied", ""));
    server.database.allow_connections(true).await;
    eventually("reads work again", async || get(&[]).await.status == 404).await;
    holder.batch_execute("BEGIN; LOCK giro.account_state IN ACCESS EXCLUSIVE MODE").await.unwrap();
    document.shows("get", "/accounts/{id}", "late", &get(&[("request-timeout-ms", "200")]).await);
}
