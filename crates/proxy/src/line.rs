//! One direction of a session: what goes in comes out in order, each message its own delay later. Delays
//! do not add up, and what is under way has a bound.

use super::control::Control;
use super::message::{Message, Messages};
use super::timer::until;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What may be under way in one direction; nothing more is read until something has come out.
const ROOM: usize = 16 << 20;
/// What a message takes beside its bytes.
const OVERHEAD: usize = 128;

pub(super) struct Entrance {
    messages: mpsc::UnboundedSender<Travelling>,
    room: Arc<Semaphore>,
    /// When the last one comes out.
    last: Instant,
}

pub(super) struct Exit {
    messages: mpsc::UnboundedReceiver<Travelling>,
    /// The one that comes out next, until it has been dealt with.
    next: Option<Travelling>,
}

struct Travelling {
    message: Message,
    due: Instant,
    was_held: bool,
    _room: OwnedSemaphorePermit,
}

pub(super) fn line() -> (Entrance, Exit) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(ROOM));
    let entrance = Entrance { messages: sender, room, last: Instant::now() };
    (entrance, Exit { messages: receiver, next: None })
}

impl Entrance {
    /// Takes in what arrives; at the end of the stream, so is the line at its exit. Never returns, so that
    /// it can be polled beside whatever ends the session.
    pub(super) async fn take_in(
        mut self,
        arriving: &mut Messages<impl AsyncRead + Unpin>,
        control: &Control,
    ) -> Infallible {
        // An error is an end as well.
        while let Ok(Some(message)) = arriving.next().await {
            self.put(message, control).await;
        }
        drop(self);
        std::future::pending().await
    }

    /// Takes in one message, as soon as there is room.
    pub(super) async fn put(&mut self, message: Message, control: &Control) {
        let delay = control.delay();
        // A reply cannot overtake another: one of more delay holds up those behind it.
        self.last = self.last.max(Instant::now() + delay);
        let takes = (message.bytes.len() + OVERHEAD).min(ROOM) as u32;
        let room = self.room.clone().acquire_many_owned(takes).await.expect("never closed");
        let due = self.last;
        // An error: the session is at its end.
        let _ = self.messages.send(Travelling { message, due, was_held: false, _room: room });
    }
}

impl Exit {
    /// The next message, once it has travelled, or nothing at the end of the stream. It is the next one
    /// until it is [`done`](Self::done): giving up loses nothing.
    pub(super) async fn next(&mut self, control: &Control) -> Option<Message> {
        let travelling = self.first().await?;
        until(travelling.due).await;
        control.pass(&mut travelling.was_held).await;
        Some(travelling.message.clone())
    }

    /// The same, without waiting for its time.
    pub(super) async fn next_at_once(&mut self) -> Option<Message> {
        Some(self.first().await?.message.clone())
    }

    /// The message has been dealt with.
    pub(super) fn done(&mut self) {
        self.next = None;
    }

    /// Whether a further message is due already.
    pub(super) fn has_more(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.messages.try_recv().ok();
        }
        self.next.as_ref().is_some_and(|next| next.due <= Instant::now())
    }

    async fn first(&mut self) -> Option<&mut Travelling> {
        if self.next.is_none() {
            self.next = self.messages.recv().await;
        }
        self.next.as_mut()
    }
}
