//! From bytes to values: what is read, for how long, and how a fault is named.

use super::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// Reads a JSON body: of the right type, of a bounded size, in a bounded time.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
    max_time: Duration,
) -> Result<Bytes, Problem> {
    if !is_json(headers) {
        let detail = "the body must be application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).and_close());
    }
    let too_large = || {
        let detail = format!("the body is larger than {max_bytes} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).and_close()
    };
    // Decided by the header where there is one, before a byte is read.
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|text| text.parse::<usize>().ok()).is_some_and(|len| len > max_bytes) {
        return Err(too_large());
    }
    match timeout(max_time, Limited::new(body, max_bytes).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad("the body could not be read").and_close()),
        Err(_) => {
            let detail = format!("the body was not complete after {max_time:?}");
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail).and_close())
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
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
