//! A server that keeps a small ledger in memory, and goes wrong where a test wants it.

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
use tokio::time::{Instant, sleep_until};

use crate::books::{BALANCES, Balances};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Wrong {
    #[default]
    Nothing,
    /// Some requests are refused, broken, or not answered.
    Trouble,
    /// One transfer is acknowledged and not applied.
    Loss,
    /// One transfer credits somebody else.
    Misdirection,
    /// Transfers are applied but cannot be read.
    Forgetfulness,
    /// Nobody is answered for 300 ms after the 50th transfer.
    Stall,
    /// Every transfer is refused for ten seconds.
    Busy,
}

const STALL: Duration = Duration::from_millis(300);

/// The server. Its ledger has no rules: who asks gets.
#[derive(Default)]
pub(super) struct Server {
    pub(super) wrong: Wrong,
    pub(super) connections: AtomicU64,
    pub(super) accounts_posts: AtomicU64,
    pub(super) transfer_posts: AtomicU64,
    pub(super) ledger: Mutex<Ledger>,
    stalled_until: Mutex<Option<Instant>>,
}

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) accounts: HashMap<String, Balances>,
    /// Debit account, credit account and amount by id.
    transfers: HashMap<String, (String, String, i64)>,
}

impl Server {
    pub(super) fn new(wrong: Wrong) -> Arc<Self> {
        Arc::new(Self { wrong, ..Self::default() })
    }

    /// Serves on a free port and says the URL.
    pub(super) async fn start(self: &Arc<Self>) -> String {
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
            (_, path) => self.read(path),
        };
        let mut response = Response::new(Full::from(answer.to_string()));
        *response.status_mut() = status.try_into().expect("a status");
        Ok(response)
    }

    fn create(&self, body: &Value) -> (u16, Value) {
        self.accounts_posts.fetch_add(1, Ordering::Relaxed);
        let ledger = &mut *self.ledger.lock().expect("not poisoned");
        let accounts = body.as_array().expect("an array").iter();
        let create = |account: &Value| {
            ledger.accounts.entry(text(account, "id").expect("an id")).or_default();
            json!({"outcome": "applied"})
        };
        (200, accounts.map(create).collect())
    }

    fn read(&self, path: &str) -> (u16, Value) {
        let ledger = self.ledger.lock().expect("not poisoned");
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let found = match parts[..] {
            ["accounts", id] => ledger.accounts.get(id).map(|balances| {
                BALANCES
                    .into_iter()
                    .zip(balances.map(|balance| json!(balance.to_string())))
                    .collect()
            }),
            ["accounts", _, "transfers"] => Some(json!({"transfers": []})),
            ["transfers", _] if self.wrong == Wrong::Forgetfulness => None,
            ["transfers", id] => ledger.transfers.get(id).map(|_| json!({"outcome": "applied"})),
            _ => None,
        };
        found.map_or((404, json!({"error": "not_found"})), |found| (200, found))
    }

    async fn transfer(&self, body: &Value) -> io::Result<(u16, Value)> {
        let number = self.transfer_posts.fetch_add(1, Ordering::Relaxed);
        if self.wrong == Wrong::Stall {
            self.stall(number).await;
        }
        if self.wrong == Wrong::Busy {
            let refusal = json!({"outcome": "not_applied", "retry_after_ms": 10_000});
            return Ok((503, refusal));
        }
        if self.wrong != Wrong::Trouble {
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

    async fn stall(&self, number: u64) {
        if number == 50 {
            let end = Instant::now() + STALL;
            *self.stalled_until.lock().expect("not poisoned") = Some(end);
        }
        let end = *self.stalled_until.lock().expect("not poisoned");
        if let Some(end) = end {
            sleep_until(end).await;
        }
    }

    fn apply(&self, transfer: &Value) -> Value {
        let mut ledger = self.ledger.lock().expect("not poisoned");
        let hundredth = ledger.transfers.len() == 100;
        ledger.apply(transfer, if hundredth { self.wrong } else { Wrong::Nothing });
        json!({"outcome": "applied"})
    }
}

impl Ledger {
    fn apply(&mut self, transfer: &Value, wrong: Wrong) {
        let id = text(transfer, "id").expect("an id");
        let flag = transfer["flags"][0].as_str().unwrap_or_default();
        let amount =
            text(transfer, "amount").map(|amount| amount.parse::<i64>().expect("a number"));
        let (debit, mut credit, held) = match text(transfer, "pending_id") {
            Some(pending_id) => self.transfers[&pending_id].clone(),
            None => {
                let account = |side| text(transfer, side).expect("an account");
                (account("debit_account"), account("credit_account"), 0)
            }
        };
        let (pending, posted) = match flag {
            "pending" => (amount.expect("of a hold"), 0),
            "post_pending" => (-held, amount.unwrap_or(held)),
            "void_pending" => (-held, 0),
            _ => (0, amount.expect("of a transfer")),
        };
        self.transfers.insert(id, (debit.clone(), credit.clone(), pending));
        match wrong {
            Wrong::Loss => return,
            Wrong::Misdirection => {
                let mut others = self.accounts.keys().filter(|id| **id != credit && **id != debit);
                credit = others.next().expect("another account").clone();
            }
            _ => {}
        }
        let mut change = |account: &str, side: usize| {
            let balances = self.accounts.get_mut(account).expect("an account");
            balances[side] += pending;
            balances[side + 1] += posted;
        };
        change(&debit, 0);
        change(&credit, 2);
    }
}

fn text(item: &Value, key: &str) -> Option<String> {
    item[key].as_str().map(str::to_owned)
}
