use super::activity::Exchange;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A reply's body. Its exchange ends when the last byte has left: HTTP/2 queues what its client has given
/// no window for, and nothing else tells of that.
pub(super) struct Reply {
    body: Body,
    exchange: Option<Exchange>,
}

impl Reply {
    pub(super) fn new(body: Body, mut exchange: Exchange) -> Self {
        exchange.answered();
        if body.is_end_stream() {
            exchange.taken();
        }
        Self { body, exchange: Some(exchange) }
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let is_last = self.body.is_end_stream();
        match polled {
            Poll::Ready(Some(Ok(frame))) if is_last => {
                let mut exchange = self.exchange.take();
                exchange.as_mut().into_iter().for_each(Exchange::taken);
                let last =
                    frame.map_data(|bytes| Bytes::from_owner(Last { bytes, _exchange: exchange }));
                Poll::Ready(Some(Ok(last)))
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The last bytes of a reply, dropped when they are written.
struct Last {
    bytes: Bytes,
    _exchange: Option<Exchange>,
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
