//! The message stream of PostgreSQL's protocol 3, as far as a proxy must understand it.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Of what is passed on without being read: a first packet, or a piece of an encrypted stream.
pub(super) const OPAQUE: u8 = 0;
/// How TLS begins when nobody asks for it first.
const CLIENT_HELLO: u8 = 0x16;

const PROTOCOL_3: u32 = 3 << 16;
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// Nothing larger is sent here: this is a bug in the reading of the stream.
const LENGTH_MAX: usize = 1 << 30;

/// One message with its tag, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) bytes: Bytes,
}

impl Message {
    /// Bytes that are passed on without being read.
    pub(super) fn opaque(bytes: Bytes) -> Self {
        Self { tag: OPAQUE, bytes }
    }

    /// The text fields at its beginning, without end; only for messages that begin with texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[5..].split(|byte| *byte == 0)
    }
}

/// The first packet of a connection; it has no tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A request for encryption, which is answered by one byte.
    Encryption(Bytes),
    /// Not a packet at all: encryption begins without a request.
    Encrypted,
    /// A request to cancel what another connection does.
    Cancel(Bytes),
    /// The beginning of a session.
    Startup { application_name: Arc<str>, bytes: Bytes },
}

/// Reads a stream message by message. Giving up a read loses nothing.
pub(super) struct Messages<R> {
    stream: R,
    buffer: BytesMut,
    /// Whether the stream is encrypted: what comes are pieces.
    encrypted: bool,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(64 * 1024), encrypted: false }
    }

    /// The stream cannot be read from here on.
    pub(super) fn encrypt(&mut self) {
        self.encrypted = true;
    }

    /// The stream, and what has been read of it already.
    pub(super) fn into_inner(self) -> (R, Bytes) {
        (self.stream, self.buffer.freeze())
    }

    /// The next message, or nothing at the end of the stream.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        if self.encrypted {
            let more = self.fill(1).await?;
            return Ok(more.then(|| Message::opaque(self.buffer.split().freeze())));
        }
        let Some(bytes) = self.packet(1).await? else { return Ok(None) };
        Ok(Some(Message { tag: bytes[0], bytes }))
    }

    /// The next packet without a tag, or nothing at the end of the stream.
    pub(super) async fn opening(&mut self) -> io::Result<Option<Opening>> {
        if self.fill(1).await? && self.buffer[0] == CLIENT_HELLO {
            return Ok(Some(Opening::Encrypted));
        }
        let Some(bytes) = self.packet(0).await? else { return Ok(None) };
        let code = bytes.get(4..8).map_or(0, |mut code| code.get_u32());
        match code {
            SSL_REQUEST | GSSENC_REQUEST => Ok(Some(Opening::Encryption(bytes))),
            CANCEL_REQUEST => Ok(Some(Opening::Cancel(bytes))),
            PROTOCOL_3.. if code >> 16 == 3 => {
                let application_name = parameter(&bytes[8..], "application_name").into();
                Ok(Some(Opening::Startup { application_name, bytes }))
            }
            other => Err(io::Error::other(format!("a first packet of version {other:#x}"))),
        }
    }

    /// The one byte that answers a request for encryption.
    pub(super) async fn byte(&mut self) -> io::Result<u8> {
        if !self.fill(1).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.buffer.get_u8())
    }

    /// `tag` bytes, and then a length that counts itself and what follows.
    async fn packet(&mut self, tag: usize) -> io::Result<Option<Bytes>> {
        if !self.fill(tag + 4).await? {
            return Ok(None);
        }
        let length = (&self.buffer[tag..]).get_u32() as usize;
        if !(4..LENGTH_MAX).contains(&length) {
            return Err(io::Error::other(format!("a message of {length} bytes")));
        }
        let whole = self.fill(tag + length).await?;
        Ok(whole.then(|| self.buffer.split_to(tag + length).freeze()))
    }

    /// Whether so many bytes have come before the end of the stream.
    async fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        while self.buffer.len() < bytes {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One of the pairs of name and value in a StartupMessage, or "".
fn parameter(pairs: &[u8], name: &str) -> String {
    let texts: Vec<&[u8]> = pairs.split(|byte| *byte == 0).collect();
    let value = texts.chunks_exact(2).find(|pair| pair[0] == name.as_bytes()).map(|pair| pair[1]);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    fn startup(pairs: &[u8]) -> Vec<u8> {
        let length = (8 + pairs.len()) as u32;
        [&length.to_be_bytes()[..], &PROTOCOL_3.to_be_bytes(), pairs].concat()
    }

    #[tokio::test]
    async fn messages_are_read_whole_however_they_arrive() {
        let (mut far, near) = duplex(3); // hands over at most three bytes at a time
        let first = startup(b"user\0me\0application_name\0giro lane 1\0\0");
        let sent =
            [&[0, 0, 0, 8][..], &SSL_REQUEST.to_be_bytes(), &first, b"Q\0\0\0\x06;\0S\0\0\0\x04"];
        let sent = sent.concat();
        tokio::spawn(async move { far.write_all(&sent).await });
        let mut messages = Messages::new(near);
        assert!(matches!(messages.opening().await.unwrap(), Some(Opening::Encryption(_))));
        let Some(Opening::Startup { application_name, bytes }) = messages.opening().await.unwrap()
        else {
            panic!("no startup");
        };
        assert_eq!((&*application_name, &bytes[..]), ("giro lane 1", &first[..]));
        let query = messages.next().await.unwrap().unwrap();
        assert_eq!((query.tag, query.texts().next()), (b'Q', Some(&b";"[..])));
        assert_eq!(messages.next().await.unwrap().unwrap().tag, b'S');
        assert_eq!(messages.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_encrypted_stream_comes_in_pieces_as_they_arrive() {
        let mut messages = Messages::new(&b"\x16\x03\x01hello"[..]);
        assert_eq!(messages.opening().await.unwrap(), Some(Opening::Encrypted));
        messages.encrypt();
        let piece = Message::opaque(Bytes::from_static(b"\x16\x03\x01hello"));
        assert_eq!(messages.next().await.unwrap(), Some(piece), "nothing of it is lost");
        assert_eq!(messages.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn half_a_message_is_none_and_a_wrong_length_is_an_error() {
        assert_eq!(Messages::new(&b"S\0\0"[..]).next().await.unwrap(), None);
        assert_eq!(Messages::new(&b"Q\0\0\0\x09;"[..]).next().await.unwrap(), None);
        assert!(Messages::new(&b"S\0\0\0\x03"[..]).next().await.is_err());
        assert!(Messages::new(&b"S\xff\xff\xff\xff"[..]).next().await.is_err());
    }
}
