use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Speaks HTTP to one server, a connection a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    address: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, `Null` when it is not JSON.
    pub json: Value,
    /// Its body as it came.
    pub text: String,
}

impl Reply {
    /// The outcome it carries, or "".
    pub fn outcome(&self) -> &str {
        self.json["outcome"].as_str().unwrap_or_default()
    }

    /// The reason it carries, or "".
    pub fn reason(&self) -> &str {
        self.json["reason"].as_str().unwrap_or_default()
    }

    /// A header as text, or "".
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    /// For the server at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await.expect("an answer")
    }

    /// Every item of a listing, page by page; `path` has a query.
    pub async fn pages(&self, path: &str, items: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let reply = self.get(&format!("{path}{next}")).await;
            assert_eq!(reply.status, 200, "{path}{next}: {}", reply.text);
            all.extend(reply.json[items].as_array().expect("an array of items").iter().cloned());
            match reply.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return all,
            }
        }
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).await.expect("an answer")
    }

    /// `POST` of JSON to a server that may be gone.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<Reply, String> {
        self.post_with(path, &[], &body.to_string()).await
    }

    /// `POST` of any text as JSON, with further headers.
    pub async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, String> {
        let json = [("content-type", "application/json")];
        let headers = [&json[..], headers].concat();
        self.send(Method::POST, path, &headers, body).await
    }

    /// Any request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, String> {
        self.connect().await?.send(method, path, headers, body).await
    }

    /// A connection that is kept for several requests.
    pub async fn connect(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Connection { sender })
    }
}

/// One connection.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    /// `POST` of JSON.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Reply, String> {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, &body.to_string()).await
    }

    /// Any request.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, String> {
        let failed = |error: hyper::Error| format!("{path}: {error}");
        let mut request = Request::builder().method(method).uri(path).header("host", "giro");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
        self.sender.ready().await.map_err(failed)?;
        let reply = self.sender.send_request(request).await.map_err(failed)?;
        let (head, body) = reply.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Reply { status: head.status, headers: head.headers, json, text })
    }
}
