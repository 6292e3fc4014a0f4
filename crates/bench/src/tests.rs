//! The client side against a small server in this process.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::accounts::Accounts;
use crate::ids::Ids;
use crate::load::{self, Control, Tally};
use crate::money::Money;
use crate::outcome::Outcomes;
use crate::{BenchError, Options};

/// A server that keeps debits in memory and goes wrong at chosen transfer requests.
#[derive(Default)]
struct Server {
    connections: AtomicU64,
    debits: Mutex<HashMap<String, u64>>,
    accounts_posts: AtomicU64,
    transfer_posts: AtomicU64,
    trouble: bool,
}

impl Server {
    /// Serves on a free port and says the URL.
    async fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.connections.fetch_add(1, Ordering::Relaxed);
                let server = Arc::clone(&server);
                let service = service_fn(move |request| Arc::clone(&server).answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        url
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = match (&head.method, head.uri.path()) {
            (&Method::POST, "/accounts") => self.create(&body),
            (&Method::POST, "/transfer") => self.transfer(&body).await?,
            (&Method::POST, "/transfers") => {
                let transfers = body.as_array().expect("an array");
                (200, transfers.iter().map(|transfer| self.apply(transfer)).collect())
            }
            (_, path) => self.balance(path.trim_start_matches("/accounts/")),
        };
        let mut response = Response::new(Full::from(answer.to_string()));
        *response.status_mut() = status.try_into().expect("a status");
        Ok(response)
    }

    fn create(&self, body: &Value) -> (u16, Value) {
        self.accounts_posts.fetch_add(1, Ordering::Relaxed);
        let mut debits = self.debits.lock().expect("not poisoned");
        let accounts = body.as_array().expect("an array").iter();
        let create = |account: &Value| {
            debits.entry(account["id"].as_str().expect("an id").to_owned()).or_default();
            json!({"outcome": "applied"})
        };
        (200, accounts.map(create).collect())
    }

    fn balance(&self, id: &str) -> (u16, Value) {
        match self.debits.lock().expect("not poisoned").get(id) {
            Some(debits) => (200, json!({"debits_posted": debits.to_string()})),
            None => (404, json!({"error": "not_found"})),
        }
    }

    async fn transfer(&self, body: &Value) -> io::Result<(u16, Value)> {
        let number = self.transfer_posts.fetch_add(1, Ordering::Relaxed);
        if !self.trouble {
            return Ok((200, self.apply(body)));
        }
        Ok(match number {
            10 => return Err(io::Error::other("breaks the connection")),
            20 => pending().await,
            30 => (500, json!("something else")),
            40..45 => (422, json!({"outcome": "rejected", "reason": "funds"})),
            50..53 => (503, json!({"outcome": "not_applied", "reason": "busy"})),
            60 => {
                self.apply(body);
                (504, json!({"outcome": "unknown"}))
            }
            _ => (200, self.apply(body)),
        })
    }

    fn apply(&self, transfer: &Value) -> Value {
        let text = |key: &str| transfer[key].as_str().expect("text").to_owned();
        let mut debits = self.debits.lock().expect("not poisoned");
        assert!(debits.contains_key(&text("credit_account")));
        *debits.get_mut(&text("debit_account")).expect("an account") +=
            text("amount").parse::<u64>().expect("a number");
        json!({"outcome": "applied"})
    }
}

fn setup(url: &str, bulk: usize) -> (Options, Accounts) {
    let mut options = Options::new(url, "");
    options.connections = 3;
    options.bulk = bulk;
    options.request_timeout = Duration::from_millis(300);
    let accounts = Accounts {
        target: options.validate().expect("valid"),
        ids: Ids::new(1, 1),
        hot: 3,
        cold: 2500,
        batch: 1000,
        request_timeout: options.request_timeout,
    };
    (options, accounts)
}

/// Runs the load, measured from the first request, until at least 300 transfers are applied and
/// `enough`.
async fn load(options: &Options, accounts: &Accounts, enough: impl Fn() -> bool) -> Tally {
    let control = Arc::new(Control::default());
    control.measure();
    let workers = load::start(options, accounts, &control);
    let stop = async {
        while control.applied() < 300 || !enough() {
            sleep(Duration::from_millis(5)).await;
        }
        control.stop();
        Ok(())
    };
    let both = async { tokio::try_join!(stop, load::finish(workers)) };
    timeout(Duration::from_secs(20), both).await.expect("ends").expect("succeeds").1
}

#[tokio::test]
async fn accounts_are_created_once() {
    let server = Arc::new(Server::default());
    let (_, accounts) = setup(&server.start().await, 0);
    accounts.prepare().await.expect("created");
    // One batch of hot accounts, three of cold ones, and a marker for each.
    assert_eq!(server.accounts_posts.load(Ordering::Relaxed), 6);
    assert_eq!(server.debits.lock().expect("not poisoned").len(), 3 + 2500 + 2);
    accounts.prepare().await.expect("found");
    assert_eq!(server.accounts_posts.load(Ordering::Relaxed), 6);

    let fewer = Accounts { cold: 2000, ..accounts };
    fewer.prepare().await.expect("created");
    assert_eq!(server.accounts_posts.load(Ordering::Relaxed), 6 + 3);
}

#[tokio::test]
async fn outcomes_and_failures_of_single_transfers_are_counted() {
    let server = Arc::new(Server { trouble: true, ..Server::default() });
    let (options, accounts) = setup(&server.start().await, 0);
    accounts.prepare().await.expect("created");
    let connections = || server.connections.load(Ordering::Relaxed);
    let all = connections() + options.connections as u64 + 2;
    let tally = load(&options, &accounts, || connections() == all).await;

    let Outcomes { applied, rejected, not_applied, unknown } = tally.outcomes;
    assert_eq!((rejected, not_applied, unknown), (5, 3, 1));
    assert!(applied >= 300);
    assert_eq!((tally.broken, tally.timeouts, tally.unreadable), (1, 1, 1));
    assert_eq!(tally.reconnects, 2);
    // The broken and the timed out request have no answer, and the last answer of each connection
    // may have come after the window.
    let answered = server.transfer_posts.load(Ordering::Relaxed) - 2;
    assert!((answered - options.connections as u64..=answered).contains(&tally.requests));
    assert_eq!(tally.latency.len(), tally.requests);
    assert!(tally.first_other.is_some());

    let debits = accounts.hot_debits().await.expect("read");
    let money = Money::check(tally.acknowledged, tally.unknown, 0, debits).expect("agrees");
    assert!(money.found > money.acknowledged, "one unknown transfer was applied");
}

#[tokio::test]
async fn each_transfer_of_a_bulk_is_counted() {
    let server = Arc::new(Server::default());
    let (options, accounts) = setup(&server.start().await, 100);
    accounts.prepare().await.expect("created");
    let tally = load(&options, &accounts, || true).await;
    assert_eq!(tally.outcomes.applied, tally.requests * 100);
    assert_eq!((tally.unknown, tally.reconnects), (0, 0));
    let debits = accounts.hot_debits().await.expect("read");
    Money::check(tally.acknowledged, 0, 0, debits).expect("agrees exactly");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (_, accounts) = setup(&url, 0);
    let error = accounts.prepare().await.expect_err("nobody listens");
    assert!(matches!(error, BenchError::Unreachable { attempts: 10, .. }), "{error}");
}
