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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    /// Whether it is over at the first look.
    fn is_ready<F: Future>(future: Pin<&mut F>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn what_is_under_way_has_a_bound() {
        let control = Control::default();
        control.change(|link| link.held = true);
        let (mut entrance, mut exit) = line();
        let message = Message::opaque(Bytes::from(vec![0; ROOM / 4 - OVERHEAD]));
        for _ in 0..4 {
            assert!(is_ready(pin!(entrance.put(message.clone(), &control))));
        }
        let mut fifth = pin!(entrance.put(message.clone(), &control));
        assert!(!is_ready(fifth.as_mut()), "there is no room");
        assert!(!is_ready(pin!(exit.next(&control))), "and nothing comes out");
        assert_eq!(control.counts().held, 1);
        control.change(|link| link.held = false);
        assert_eq!(exit.next(&control).await, Some(message.clone()));
        assert!(!is_ready(fifth.as_mut()), "it has not been dealt with");
        exit.done();
        assert!(is_ready(fifth));
        for _ in 0..4 {
            assert_eq!(exit.next(&control).await, Some(message.clone()));
            exit.done();
        }
        assert_eq!(control.counts().held, 1, "a message is counted once");
    }

    #[tokio::test]
    async fn one_message_may_be_larger_than_the_room() {
        let control = Control::default();
        let (mut entrance, mut exit) = line();
        let message = Message::opaque(Bytes::from(vec![0; 2 * ROOM]));
        entrance.put(message, &control).await;
        let next = Message::opaque(Bytes::from_static(b"next"));
        assert!(!is_ready(pin!(entrance.put(next, &control))));
        assert!(exit.next(&control).await.is_some());
    }

    #[tokio::test]
    async fn giving_up_loses_nothing() {
        let control = Control::default();
        control.change(|link| link.delay = std::time::Duration::from_secs(3600));
        let (mut entrance, mut exit) = line();
        let message = Message::opaque(Bytes::from_static(b"later"));
        entrance.put(message.clone(), &control).await;
        assert!(!is_ready(pin!(exit.next(&control))));
        assert!(!exit.has_more(), "it is not due");
        assert_eq!(exit.next_at_once().await, Some(message));
    }
}
