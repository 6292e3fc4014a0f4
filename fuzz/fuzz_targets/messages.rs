//! The fault proxy's reading of a client's stream.
#![no_main]

use giro_proxy::fuzz::{Read, read};
use libfuzzer_sys::fuzz_target;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, ReadBuf};

fuzz_target!(|stream: &[u8]| {
    let whole = follow(stream, usize::MAX);
    assert_eq!(stream[..whole.messages.concat().len()], whole.messages.concat(), "nothing is lost");
    assert!(whole.openings <= whole.messages.len());
    for (at, message) in whole.messages.iter().enumerate() {
        let tag = usize::from(at >= whole.openings);
        let length = u32::from_be_bytes(message[tag..tag + 4].try_into().unwrap()) as usize;
        assert_eq!(tag + length, message.len(), "each message has the length that it says");
    }
    for call in &whole.calls {
        assert_eq!(whole.messages[*call][0], b'S', "a call ends with Sync");
    }
    // However it arrives.
    let step = 1 + stream.len() % 7;
    assert_eq!(follow(stream, step), whole);
});

fn follow(stream: &[u8], step: usize) -> Read {
    let mut reading = pin!(read(Pieces { rest: stream, step }, "giro.apply_transfers"));
    match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => unreachable!("everything is there"),
    }
}

/// A stream that hands over a few bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    step: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = self.rest.len().min(self.step).min(buffer.remaining());
        let (now, later) = self.rest.split_at(bytes);
        buffer.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}
