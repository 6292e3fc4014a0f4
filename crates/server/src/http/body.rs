//! From bytes to values: what is read, for how long, and how a fault is named.

use super::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use giro_batcher::SubmitError;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use tokio::time::timeout;

mod budget;

pub(crate) use budget::BodyBudget;
use budget::NoRoom;
pub(super) use budget::Share;

/// A body, and its place in the budget.
pub(super) struct Held {
    bytes: Bytes,
    /// Given back with the bytes.
    share: Share,
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a JSON body: of the right type, of a bounded size, in a bounded time.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
    max_time: Duration,
    share: Share,
) -> Result<Held, Problem> {
    if !is_json(headers) {
        return Err(not_json());
    }
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return Err(encoded());
    }
    // Decided by the header where there is one, before a byte is read.
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|text| text.parse::<usize>().ok()).is_some_and(|len| len > max_bytes) {
        return Err(too_large(max_bytes));
    }
    match timeout(max_time, gather(Limited::new(body, max_bytes), share)).await {
        Ok(Ok(held)) => Ok(held),
        Ok(Err(Unread::Shed(problem))) => Err(problem),
        Ok(Err(Unread::Body(error))) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Ok(Err(Unread::Body(_))) => Err(Problem::bad("the body could not be read").and_close()),
        Err(_) => Err(too_slow(max_time)),
    }
}

pub(super) fn not_json() -> Problem {
    let detail = "the body must be application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).and_close()
}

/// What is packed would have to be unpacked before its size is known.
pub(super) fn encoded() -> Problem {
    let detail = "the body must come as it is, without Content-Encoding";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).and_close()
}

fn no_room(why: NoRoom) -> Problem {
    let reason = match why {
        NoRoom::Full => SubmitError::QueueFull,
        NoRoom::ForClient => SubmitError::ClientShare,
    };
    Problem::from(reason).and_close()
}

pub(super) fn too_large(max_bytes: usize) -> Problem {
    let detail = format!("the body is larger than {max_bytes} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).and_close()
}

pub(super) fn too_slow(max_time: Duration) -> Problem {
    let detail = format!("the body was not complete after {max_time:?}");
    Problem::new(StatusCode::REQUEST_TIMEOUT, detail).and_close()
}

/// Why a body was not read to its end.
enum Unread {
    Shed(Problem),
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// Takes room for what has arrived, not for what was announced: a silent client holds none.
async fn gather(mut body: Limited<Body>, share: Share) -> Result<Held, Unread> {
    let mut held = Held { bytes: Bytes::new(), share };
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(Unread::Body)?.into_data() else { continue };
        held.share.grow(bytes.len()).map_err(|why| Unread::Shed(no_room(why)))?;
        held.bytes = match held.bytes.is_empty() {
            true => bytes,
            false => {
                let mut whole = BytesMut::from(held.bytes);
                whole.extend_from_slice(&bytes);
                whole.freeze()
            }
        };
    }
    Ok(held)
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// A JSON object. A derived struct would also be read from an array, by position: nobody means that.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// Parses a body; a fault is named by its field, and in an array by its index.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|_| fault::<T>(bytes))
}

/// Parses once more, to find where the fault is: the usual request does not pay for that.
fn fault<T: DeserializeOwned>(bytes: &[u8]) -> Problem {
    use serde_path_to_error::Segment;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => error,
        // The value itself is sound, so what follows it is not.
        Ok(_) => return Problem::bad("there is more after the JSON value"),
    };
    let mut index = None;
    let mut field = None;
    for segment in error.path() {
        match segment {
            Segment::Seq { index: at } if field.is_none() => index = Some(*at),
            Segment::Map { key } if field.is_none() => field = Some(key.clone()),
            _ => {}
        }
    }
    let detail = error.inner().to_string();
    match field {
        Some(field) => {
            // Our own messages follow the field's name, serde's stand alone.
            let colon = if detail.starts_with("must ") { "" } else { ":" };
            Problem::bad(format!("{field}{colon} {detail}")).with_index(index).with_field(field)
        }
        None => match quoted_field(&detail) {
            Some(field) => Problem::bad(detail).with_index(index).with_field(field),
            None => Problem::bad(detail).with_index(index),
        },
    }
}

/// The field in serde's messages about fields themselves, which have no path.
fn quoted_field(detail: &str) -> Option<String> {
    let after = ["unknown field `", "duplicate field `", "missing field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start))?;
    after.split('`').next().map(str::to_owned)
}
