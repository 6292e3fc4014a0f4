//! One session through the proxy: its first packets, then two directions at once.

use super::Upstream;
use super::control::Control;
use super::fault::Target;
use super::line::line;
use super::message::{Message, Messages, Opening};
use super::pumps::{End, Pumps};
use bytes::Bytes;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, BufWriter, ReadHalf, WriteHalf, copy_bidirectional, split};
use tokio::net::TcpStream;

use super::upstream::Stream;

/// What every session of a proxy is made from.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) upstream: Upstream,
    pub(super) target: Target,
    pub(super) control: Arc<Control>,
}

/// One of the two connections.
struct Side {
    messages: Messages<ReadHalf<Box<dyn Stream>>>,
    out: BufWriter<WriteHalf<Box<dyn Stream>>>,
}

/// What the first packets have said.
struct Opened {
    /// The `application_name`; empty when it cannot be read.
    name: Arc<str>,
    encrypted: bool,
    /// What is to be sent before all else.
    first: Option<Bytes>,
}

impl Session {
    /// From the client's first packet to the end. An error is the end of one side, and so of both.
    pub(super) async fn run(self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut near = Side::new(Box::new(client));
        let mut far = Side::new(self.upstream.connect().await?);
        let Some(opened) = self.open(&mut near, &mut far).await? else { return Ok(()) };
        let targeted = opened.encrypted || opened.name.contains(self.target.sessions);
        if !targeted {
            return untouched(near, far, opened).await;
        }
        if !self.lets_in(&opened) {
            return Ok(());
        }
        if opened.encrypted {
            near.messages.encrypt();
            far.messages.encrypt();
        }
        if let Some(near) = self.carry(opened, near, &mut far).await? {
            near.reset();
            far.reset();
        }
        Ok(())
    }

    /// Up to the packet that says who the client is; nothing when there is no session.
    async fn open(&self, near: &mut Side, far: &mut Side) -> io::Result<Option<Opened>> {
        let encrypted = |first| Opened { name: "".into(), encrypted: true, first };
        loop {
            match near.messages.opening().await? {
                None => return Ok(None),
                Some(Opening::Encryption(bytes)) => {
                    far.send(&bytes).await?;
                    let answer = far.messages.byte().await?;
                    near.send(&[answer]).await?;
                    if matches!(answer, b'S' | b'G') {
                        return Ok(Some(encrypted(None)));
                    }
                }
                Some(Opening::Encrypted) => return Ok(Some(encrypted(None))),
                Some(Opening::Cancel(bytes)) => {
                    self.control.count(|counts| counts.cancels += 1);
                    far.send(&bytes).await?;
                    return Ok(None);
                }
                Some(Opening::Startup { application_name: name, bytes }) => {
                    return Ok(Some(Opened { name, encrypted: false, first: Some(bytes) }));
                }
            }
        }
    }

    fn lets_in(&self, opened: &Opened) -> bool {
        let refusing = self.control.link().refusing;
        self.control.count(|counts| {
            counts.sessions += 1;
            counts.encrypted += u64::from(opened.encrypted);
            counts.refused += u64::from(refusing);
        });
        !refusing
    }

    /// Both directions, until the session ends; the client's side, when both sides are to be reset.
    async fn carry(
        &self,
        opened: Opened,
        mut near: Side,
        far: &mut Side,
    ) -> io::Result<Option<Side>> {
        let control = &*self.control;
        let pumps = Pumps::new(opened.name, control, self.target);
        let (mut requests, mut requests_end) = line();
        let (replies, mut replies_end) = line();
        if let Some(first) = opened.first {
            requests.put(Message::opaque(first), control).await;
        }
        let mut arriving = pin!(replies.take_in(&mut far.messages, control));
        let end = tokio::select! {
            end = pumps.requests(&mut requests_end, &mut far.out) => end?,
            end = pumps.replies(&mut replies_end, &mut near.out) => end?,
            never = requests.take_in(&mut near.messages, control) => match never {},
            never = &mut arriving => match never {},
        };
        match end {
            End::Closed => Ok(None),
            End::Reset => Ok(Some(near)),
            End::Finish => {
                drop(near);
                tokio::select! {
                    drained = pumps.drain(&mut replies_end) => drained?,
                    never = arriving => match never {},
                }
                Ok(None)
            }
        }
    }
}

impl Side {
    fn new(stream: Box<dyn Stream>) -> Self {
        let (read, write) = split(stream);
        Self { messages: Messages::new(read), out: BufWriter::new(write) }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).await?;
        self.out.flush().await
    }

    /// The connection, and what has been read of it already.
    fn into_inner(self) -> (Box<dyn Stream>, Bytes) {
        let (read, already) = self.messages.into_inner();
        (read.unsplit(self.out.into_inner()), already)
    }

    /// Closes it as a reset does.
    fn reset(self) {
        self.into_inner().0.reset_when_closed();
    }
}

/// A session that is no target: its bytes are passed on as they come.
async fn untouched(near: Side, far: Side, opened: Opened) -> io::Result<()> {
    let ((mut near, requests), (mut far, replies)) = (near.into_inner(), far.into_inner());
    far.write_all(&opened.first.unwrap_or_default()).await?;
    far.write_all(&requests).await?;
    near.write_all(&replies).await?;
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
