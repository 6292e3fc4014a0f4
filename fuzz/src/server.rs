//! A PostgreSQL of one statement, in memory: it answers every call with the bytes that it is told to.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

/// A session with such a server, its statement prepared.
pub struct Session {
    client: Client,
    connection: Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>>>>,
    statement: Statement,
    wire: Wire,
}

/// What is on its way, in both directions.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Ways>>);

#[derive(Default)]
struct Ways {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What the next Sync, or the beginning, is answered with.
    answer: Vec<u8>,
    has_begun: bool,
}

impl Session {
    /// A session whose statement has these parameters and columns.
    pub fn new(parameters: &[Type], columns: &[(&str, Type)]) -> Self {
        let wire = Wire::default();
        wire.answer([message(b'R', &[0; 4]), message(b'Z', b"I")].concat());
        let mut config = Config::new();
        config.user("fuzz");
        let mut opening = pin!(config.connect_raw(wire.clone(), NoTls));
        let (client, connection) = ready(opening.as_mut()).expect("it lets everybody in");
        let mut connection = Box::pin(connection);
        let description =
            [message(b'1', b""), kinds(parameters), row(columns), message(b'Z', b"I")];
        wire.answer(description.concat());
        let statement = {
            let preparing = pin!(client.prepare("SELECT"));
            drive(connection.as_mut(), preparing).expect("it prepares").expect("a statement")
        };
        Self { client, connection, statement, wire }
    }

    /// The rows of a call that is answered like this, or why there are none; nothing when the session has
    /// ended.
    pub fn call(
        &mut self,
        parameters: &[&(dyn ToSql + Sync)],
        answer: Vec<u8>,
    ) -> Option<Result<Vec<Row>, tokio_postgres::Error>> {
        self.wire.answer(answer);
        let calling = pin!(self.client.query(&self.statement, parameters));
        drive(self.connection.as_mut(), calling)
    }
}

/// One row with these values.
pub fn data_row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        let length = value.map_or(-1, |value| value.len() as i32);
        body.extend(length.to_be_bytes());
        body.extend(value.unwrap_or_default());
    }
    let end = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
    [message(b'2', b""), message(b'D', &body), end].concat()
}

/// A message with its length.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(4 + body.len() as u32).to_be_bytes(), body].concat()
}

fn kinds(parameters: &[Type]) -> Vec<u8> {
    let mut body = (parameters.len() as u16).to_be_bytes().to_vec();
    parameters.iter().for_each(|kind| body.extend(kind.oid().to_be_bytes()));
    message(b't', &body)
}

fn row(columns: &[(&str, Type)]) -> Vec<u8> {
    let mut body = (columns.len() as u16).to_be_bytes().to_vec();
    for (name, kind) in columns {
        body.extend(name.as_bytes());
        body.extend([0; 1 + 4 + 2]); // end of the name; of no table
        body.extend(kind.oid().to_be_bytes());
        body.extend([0; 2 + 4]); // size, modifier
        body.extend([0, 1]); // binary
    }
    message(b'T', &body)
}

/// What a future gives that has to wait for nobody.
fn ready<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..8 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    unreachable!("it waits for nothing")
}

/// The same, with the connection that it needs; nothing when there is an end to neither.
fn drive<F: Future>(
    mut connection: Pin<&mut (dyn Future<Output = Result<(), tokio_postgres::Error>> + '_)>,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    let mut has_ended = false;
    for _ in 0..16 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output).filter(|_| !has_ended);
        }
        has_ended = has_ended || connection.as_mut().poll(&mut context).is_ready();
        if has_ended {
            return None;
        }
    }
    None
}

impl Wire {
    fn answer(&self, answer: Vec<u8>) {
        self.0.lock().unwrap().answer = answer;
    }
}

impl Ways {
    /// Answers at each Sync, and at the first packet.
    fn serve(&mut self) {
        loop {
            let tag = usize::from(self.has_begun);
            let Some(length) = self.to_server.get(tag..tag + 4) else { return };
            let length = tag + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.to_server.len() < length {
                return;
            }
            if !self.has_begun || self.to_server[0] == b'S' {
                self.to_client.append(&mut self.answer);
            }
            self.has_begun = true;
            self.to_server.drain(..length);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ways = self.0.lock().unwrap();
        let bytes = ways.to_client.len().min(buffer.remaining());
        if bytes == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&ways.to_client[..bytes]);
        ways.to_client.drain(..bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut ways = self.0.lock().unwrap();
        ways.to_server.extend(bytes);
        ways.serve();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
