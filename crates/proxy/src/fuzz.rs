//! The reading of the message stream, for `fuzz/`.

use super::message::{Messages, Opening};
use super::pipeline::{Part, Pipeline};
use bytes::Bytes;
use std::io;
use tokio::io::AsyncRead;

/// What was read of a client's stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The first packets and the messages after them, as they came.
    pub messages: Vec<Bytes>,
    /// How many of these came before the session began.
    pub openings: usize,
    /// `application_name`, once the session has begun.
    pub application_name: Option<String>,
    /// Of each message that ends a call, its place.
    pub calls: Vec<usize>,
    /// Whether the stream ended because of what it says.
    pub refused: bool,
}

/// Reads a client's stream to its end.
pub async fn read(stream: impl AsyncRead + Unpin, calls: &'static str) -> Read {
    let mut read = Read::default();
    read.refused = follow(Messages::new(stream), calls, &mut read).await.is_err();
    read
}

async fn follow(
    mut stream: Messages<impl AsyncRead + Unpin>,
    calls: &'static str,
    read: &mut Read,
) -> io::Result<()> {
    while read.application_name.is_none() {
        let Some(opening) = stream.opening().await? else { return Ok(()) };
        read.messages.push(match opening {
            Opening::Encryption(bytes) | Opening::Cancel(bytes) => bytes,
            // The rest is what TLS makes of it.
            Opening::Encrypted => return Ok(()),
            Opening::Startup { application_name, bytes } => {
                read.application_name = Some(application_name.to_string());
                bytes
            }
        });
        read.openings += 1;
    }
    let mut pipeline = Pipeline::new(calls);
    while let Some(message) = stream.next().await? {
        pipeline.reply(&message);
        if pipeline.request(&message) == Part::Sync {
            read.calls.push(read.messages.len());
        }
        read.messages.push(message.bytes);
    }
    Ok(())
}
