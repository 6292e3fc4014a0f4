//! How a request travels: on a connection that is kept, or on one that its caller leaves.

use super::contract::Reply;
use super::request::{Manner, Request, in_http};
use bytes::Bytes;
use giro_checker::history::Asked;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Response, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// After its own deadline a caller waits for so long for an answer that says so.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The request was not sent, or not all of it: nobody can have run it.
    NotSent,
    /// It was, and this happened.
    Left(String),
}

/// A connection to one server, opened again when it is closed or the server is elsewhere.
#[derive(Default)]
pub(super) struct Connection {
    kept: Option<(SocketAddr, SendRequest<Full<Bytes>>)>,
}

impl Connection {
    /// Sends a request as its caller would.
    pub(super) async fn send(
        &mut self,
        address: SocketAddr,
        request: &Request,
    ) -> Result<Reply, Unanswered> {
        match request.manner {
            Manner::Wait => self.ask(address, &request.asked, request.deadline).await,
            rude => leave(address, request, rude).await,
        }
    }

    /// Sends a request and waits for the reply.
    pub(super) async fn ask(
        &mut self,
        address: SocketAddr,
        asked: &Asked,
        deadline: Duration,
    ) -> Result<Reply, Unanswered> {
        let reply = timeout(deadline + PATIENCE, self.exchange(address, asked, deadline)).await;
        reply.unwrap_or_else(|_| Err(Unanswered::Left("no answer".into())))
    }

    async fn exchange(
        &mut self,
        address: SocketAddr,
        asked: &Asked,
        deadline: Duration,
    ) -> Result<Reply, Unanswered> {
        // A connection that was closed before anything was sent on it is no answer to this request.
        for _ in 0..3 {
            let mut sender = match self.kept.take() {
                Some((to, sender)) if to == address && !sender.is_closed() => sender,
                _ => connect(address).await.map_err(|_| Unanswered::NotSent)?,
            };
            if sender.ready().await.is_err() {
                continue;
            }
            let reply = match sender.send_request(in_hyper(asked, deadline)).await {
                Ok(reply) => reply,
                Err(error) if error.is_canceled() => continue,
                Err(error) => return Err(Unanswered::Left(error.to_string())),
            };
            let reply = whole(reply).await?;
            if reply.headers.get(header::CONNECTION).is_none_or(|value| value != "close") {
                self.kept = Some((address, sender));
            }
            return Ok(reply);
        }
        Err(Unanswered::NotSent)
    }
}

async fn connect(
    address: SocketAddr,
) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn in_hyper(asked: &Asked, deadline: Duration) -> hyper::Request<Full<Bytes>> {
    let (method, path, body) = in_http(asked);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "giro")
        .header(header::CONTENT_TYPE, "application/json")
        .header("request-timeout-ms", deadline.as_millis().to_string());
    request.body(Full::new(Bytes::from(body))).expect("a request")
}

async fn whole(reply: Response<hyper::body::Incoming>) -> Result<Reply, Unanswered> {
    let (head, body) = reply.into_parts();
    let body = body.collect().await;
    let body = body.map_err(|error| Unanswered::Left(format!("half a reply: {error}")))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, text })
}

/// Sends a request on a connection of its own and does not wait to the end.
async fn leave(
    address: SocketAddr,
    request: &Request,
    manner: Manner,
) -> Result<Reply, Unanswered> {
    let (method, path, body) = in_http(&request.asked);
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: giro\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nrequest-timeout-ms: {}\r\n\r\n{body}",
        body.len(),
        request.deadline.as_millis(),
    );
    let not_sent = |_| Unanswered::NotSent;
    let mut stream = TcpStream::connect(address).await.map_err(not_sent)?;
    if manner == Manner::CutBody {
        let part = &text.as_bytes()[..text.len() - body.len() / 2];
        stream.write_all(part).await.map_err(not_sent)?;
        return Err(Unanswered::NotSent);
    }
    let broken = |error: std::io::Error| Unanswered::Left(error.to_string());
    stream.write_all(text.as_bytes()).await.map_err(broken)?;
    match manner {
        Manner::Leave(after) => {
            sleep(after).await;
            Err(Unanswered::Left("its caller left".into()))
        }
        _ => {
            stream.shutdown().await.map_err(broken)?;
            let mut bytes = Vec::new();
            let read = stream.read_to_end(&mut bytes);
            let read = timeout(request.deadline + PATIENCE, read).await;
            let left = || Unanswered::Left("its caller closed its side".into());
            read.map_err(|_| left())?.map_err(broken)?;
            parse(&bytes).ok_or_else(left)
        }
    }
}

/// A whole reply with a length, read by hand.
fn parse(bytes: &[u8]) -> Option<Reply> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = header::HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, value.parse().ok()?);
    }
    let length: usize = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (body.len() == length).then(|| Reply { status, headers, text: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_or_there_is_none() {
        let reply =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 2\r\n\r\n{}";
        let read = parse(reply).expect("a reply");
        assert_eq!((read.status, read.text.as_str()), (503, "{}"));
        assert_eq!(read.headers["retry-after"], "1");
        assert!(parse(&reply[..reply.len() - 1]).is_none());
        assert!(parse(b"").is_none());
    }
}
