//! The two directions of a session: what comes out of a line is noted, broken if that is its turn, and
//! delivered.

use super::control::{Control, Way};
use super::fault::{Fault, Target};
use super::garble;
use super::line::Exit;
use super::message::Message;
use super::pipeline::{Part, Pipeline};
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::task::yield_now;

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// One side has closed, or both sides are to be cut.
    Closed,
    /// Only the client is cut: PostgreSQL finishes what it has.
    Finish,
    /// Both sides get a reset.
    Reset,
}

/// What one session has under way.
pub(super) struct Pumps<'a> {
    name: Arc<str>,
    control: &'a Control,
    target: Target,
    pipeline: Mutex<Pipeline>,
}

/// The rows of calls: the first of each.
#[derive(Default)]
struct Rows {
    /// Of the call that is being answered.
    current: Option<Bytes>,
    /// Of the call before.
    previous: Option<Bytes>,
    /// Held back, and to come instead of the next.
    deferred: Option<Bytes>,
}

impl<'a> Pumps<'a> {
    /// Of a session with this `application_name`.
    pub(super) fn new(name: Arc<str>, control: &'a Control, target: Target) -> Self {
        Self { name, control, target, pipeline: Mutex::new(Pipeline::new(target.calls)) }
    }

    /// From the client to PostgreSQL.
    pub(super) async fn requests(
        &self,
        line: &mut Exit,
        far: &mut BufWriter<impl AsyncWrite + Unpin>,
    ) -> io::Result<End> {
        while let Some(message) = line.next(self.control).await {
            let part = self.pipeline().request(&message);
            if part == Part::Sync {
                self.control.count(|counts| counts.calls += 1);
            }
            if part == Part::Bind && self.fires(Fault::CutInRequest) {
                far.write_all(&message.bytes[..message.bytes.len() / 2]).await?;
                far.flush().await?;
                return Ok(End::Closed);
            }
            if part == Part::Sync && self.fires(Fault::CutBeforeSync) {
                far.flush().await?;
                return Ok(End::Closed);
            }
            self.deliver(Way::There, &message.bytes, far).await?;
            line.done();
            let end = match part {
                Part::Sync if self.fires(Fault::CutAfterSync) => Some(End::Finish),
                Part::Sync if self.fires(Fault::Reset) => Some(End::Reset),
                _ => None,
            };
            if end.is_some() || !line.has_more() {
                far.flush().await?;
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
        Ok(End::Closed)
    }

    /// From PostgreSQL to the client.
    pub(super) async fn replies(
        &self,
        line: &mut Exit,
        near: &mut BufWriter<impl AsyncWrite + Unpin>,
    ) -> io::Result<End> {
        let mut rows = Rows::default();
        while let Some(message) = line.next(self.control).await {
            let of_call = self.pipeline().is_answering_a_call();
            if of_call && is_result(&message) && self.fires(Fault::HalfClose) {
                near.shutdown().await?;
                self.drain(line).await?;
                // The other direction ends the session, when the client has closed its side too.
                return std::future::pending().await;
            }
            if of_call && message.tag == b'D' && self.fires(Fault::CutInReply) {
                near.write_all(&message.bytes[..message.bytes.len() / 2]).await?;
                near.flush().await?;
                self.drain(line).await?;
                return Ok(End::Closed);
            }
            let delivered = match message.tag {
                b'D' if of_call => self.row(&mut rows, &message.bytes),
                _ => Some(message.bytes.clone()),
            };
            if let Some(bytes) = delivered {
                self.deliver(Way::Back, &bytes, near).await?;
            }
            if of_call && message.tag == b'C' && self.fires(Fault::CutBeforeReady) {
                near.flush().await?;
                // PostgreSQL has committed when it says that it is ready.
                self.drain(line).await?;
                return Ok(End::Closed);
            }
            if message.tag == b'Z' {
                rows.next_call();
            }
            self.pipeline().reply(&message);
            line.done();
            if !line.has_more() {
                near.flush().await?;
            }
        }
        Ok(End::Closed)
    }

    /// Reads until PostgreSQL has answered everything that it has got.
    pub(super) async fn drain(&self, line: &mut Exit) -> io::Result<()> {
        while !self.pipeline().is_idle()
            && let Some(message) = line.next_at_once().await
        {
            self.pipeline().reply(&message);
            line.done();
        }
        Ok(())
    }

    /// What the client gets instead of a row of a call; nothing while it is held back.
    fn row(&self, rows: &mut Rows, row: &Bytes) -> Option<Bytes> {
        if rows.current.replace(row.clone()).is_some() {
            return Some(row.clone()); // not the first of its call
        }
        if let Some(deferred) = rows.deferred.take() {
            return Some(deferred);
        }
        if let Some(previous) = &rows.previous
            && self.fires(Fault::ShiftReply)
        {
            return Some(previous.clone());
        }
        if self.fires(Fault::DeferReply) {
            rows.deferred = Some(row.clone());
            return None;
        }
        for (fault, bytes) in [
            (Fault::GarbleReply, garble::checked(row, self.target.checked)),
            (Fault::GarbleAnywhere, garble::anywhere(row)),
        ] {
            if !bytes.is_empty() && self.fires(fault) {
                return Some(self.control.random(|random| garble::flip(row, &bytes, random)));
            }
        }
        Some(row.clone())
    }

    /// Hands on a message as the link does: whole, in slices, at its rate. Whole ones may wait for a flush.
    async fn deliver(
        &self,
        way: Way,
        mut bytes: &[u8],
        to: &mut BufWriter<impl AsyncWrite + Unpin>,
    ) -> io::Result<()> {
        let link = self.control.link();
        if link.slice == 0 && link.rate == 0 {
            return to.write_all(bytes).await;
        }
        self.control.count(|counts| {
            counts.sliced += u64::from(link.slice > 0);
            counts.limited += u64::from(link.rate > 0);
        });
        while !bytes.is_empty() {
            let (slice, rest) = bytes.split_at(self.control.send(way, bytes.len()).await);
            to.write_all(slice).await?;
            to.flush().await?;
            // Whoever reads on the other side may see them one by one.
            yield_now().await;
            bytes = rest;
        }
        Ok(())
    }

    fn fires(&self, fault: Fault) -> bool {
        self.control.fire(fault, &self.name)
    }

    fn pipeline(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn next_call(&mut self) {
        if let Some(row) = self.current.take() {
            self.previous = Some(row);
        }
    }
}

/// BindComplete: what an executed call is answered with first.
fn is_result(message: &Message) -> bool {
    message.tag == b'2'
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// Every write that comes.
    struct Writes(Vec<Vec<u8>>);

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn each_slice_is_a_write_of_its_own() {
        let control = Control::default();
        let pumps = Pumps::new("lane".into(), &control, Target::LANES);
        for (slice, rate, expected) in [
            (0, 0, &["message"][..]),
            (1, 0, &["m", "e", "s", "s", "a", "g", "e"]),
            (3, 0, &["mes", "sag", "e"]),
            (0, 500, &["messa", "ge"]),
            (1, 1_000_000, &["m", "e", "s", "s", "a", "g", "e"]),
        ] {
            control.change(|link| (link.slice, link.rate) = (slice, rate));
            let mut writes = BufWriter::new(Writes(Vec::new()));
            pumps.deliver(Way::There, b"message", &mut writes).await.unwrap();
            writes.flush().await.unwrap();
            let expected: Vec<_> = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(writes.into_inner().0, expected, "{slice} {rate}");
        }
        let counts = control.counts();
        assert_eq!((counts.sliced, counts.limited), (3, 2));
    }
}
