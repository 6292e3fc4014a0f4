//! One session through the proxy: its first packets, then two directions at once.

use super::control::{Control, Fault};
use super::message::{Message, Messages, Opening};
use super::pipeline::Pipeline;
use super::{Target, Upstream};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpStream, UnixStream};

/// What every session of a proxy is made from.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) upstream: Upstream,
    pub(super) target: Target,
    pub(super) control: Arc<Control>,
}

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// One side has closed, or both sides are to be cut.
    Closed,
    /// Only the client is cut: PostgreSQL finishes what it has.
    Finish,
}

type Far = Box<dyn Stream>;
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Session {
    /// From the client's first packet to the end. An error is the end of one side, and so of both.
    pub(super) async fn run(self, client: TcpStream) -> io::Result<()> {
        let (near_in, mut near_out) = split(client);
        let mut requests = Messages::new(near_in);
        let (far_in, mut far_out) = split(self.upstream.connect().await?);
        let mut replies = Messages::new(far_in);
        let targeted = loop {
            match requests.opening().await? {
                None => return Ok(()),
                Some(Opening::Encryption(bytes)) => {
                    far_out.write_all(&bytes).await?;
                    let answer = replies.byte().await?;
                    assert_ne!(answer, b'S', "an encrypted session cannot be read");
                    near_out.write_all(&[answer]).await?;
                }
                Some(Opening::Cancel(bytes)) => {
                    self.control.count(|counts| counts.cancels += 1);
                    return far_out.write_all(&bytes).await;
                }
                Some(Opening::Startup { application_name, bytes }) => {
                    let targeted = application_name.contains(self.target.sessions);
                    if targeted && !self.lets_in().await {
                        return Ok(());
                    }
                    far_out.write_all(&bytes).await?;
                    break targeted;
                }
            }
        };
        let pipeline = Mutex::new(Pipeline::new(self.target.calls));
        let pumps = Pumps { control: targeted.then_some(&*self.control), pipeline: &pipeline };
        let end = tokio::select! {
            end = pumps.requests(&mut requests, &mut far_out) => end?,
            end = pumps.replies(&mut replies, &mut near_out) => end?,
        };
        drop((requests, near_out));
        if end == End::Finish {
            pumps.drain(&mut replies).await?;
        }
        Ok(())
    }

    async fn lets_in(&self) -> bool {
        self.control.count(|counts| counts.sessions += 1);
        if self.control.is_refusing() {
            self.control.count(|counts| counts.refused += 1);
            return false;
        }
        self.control.travel().await;
        true
    }
}

impl Upstream {
    async fn connect(&self) -> io::Result<Far> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(name, port) => Box::new(TcpStream::connect((name.as_str(), *port)).await?),
        })
    }
}

/// The two directions of a session. Without a control nothing happens to it.
struct Pumps<'a> {
    control: Option<&'a Control>,
    pipeline: &'a Mutex<Pipeline>,
}

impl Pumps<'_> {
    /// From the client to PostgreSQL.
    async fn requests(
        &self,
        requests: &mut Messages<impl AsyncRead + Unpin>,
        far: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<End> {
        while let Some(message) = requests.next().await? {
            self.travel().await;
            let ends_call = self.pipeline().request(&message);
            if ends_call && let Some(control) = self.control {
                control.count(|counts| counts.calls += 1);
            }
            if ends_call && self.fires(Fault::CutBeforeSync) {
                return Ok(End::Closed);
            }
            far.write_all(&message.bytes).await?;
            if ends_call && self.fires(Fault::CutAfterSync) {
                return Ok(End::Finish);
            }
        }
        Ok(End::Closed)
    }

    /// From PostgreSQL to the client.
    async fn replies(
        &self,
        replies: &mut Messages<impl AsyncRead + Unpin>,
        near: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<End> {
        while let Some(message) = replies.next().await? {
            self.travel().await;
            let of_call = self.pipeline().is_answering_a_call();
            if of_call && is_result(&message) && self.fires(Fault::HalfClose) {
                near.shutdown().await?;
                self.drain(replies).await?;
                // The other direction ends the session, when the client has closed its side too.
                return std::future::pending().await;
            }
            near.write_all(&message.bytes).await?;
            if of_call && message.tag == b'C' && self.fires(Fault::CutBeforeReady) {
                // PostgreSQL has committed when it says that it is ready.
                self.drain(replies).await?;
                return Ok(End::Closed);
            }
            self.pipeline().reply(&message);
        }
        Ok(End::Closed)
    }

    /// Reads until PostgreSQL has answered everything that it has got.
    async fn drain(&self, replies: &mut Messages<impl AsyncRead + Unpin>) -> io::Result<()> {
        while !self.pipeline().is_idle()
            && let Some(message) = replies.next().await?
        {
            self.pipeline().reply(&message);
        }
        Ok(())
    }

    async fn travel(&self) {
        if let Some(control) = self.control {
            control.travel().await;
        }
    }

    fn fires(&self, fault: Fault) -> bool {
        self.control.is_some_and(|control| control.fire(fault))
    }

    fn pipeline(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// BindComplete: what an executed call is answered with first.
fn is_result(message: &Message) -> bool {
    message.tag == b'2'
}
