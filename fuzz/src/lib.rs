//! What several targets ask.

pub mod server;

use giro_ledger::{ArrayCall, Header};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::SystemTime;
use tokio_postgres::types::{IsNull, Type, private::BytesMut};

/// A body that is not taken: as a whole for what it is, or by a field that is in it, or is missing.
pub fn is_bad_request(told: &Value, body: &[u8]) {
    assert_eq!((&told["status"], &told["outcome"]), (&400.into(), &"not_applied".into()), "{told}");
    let said = told["detail"].as_str().unwrap_or_default();
    assert!(!said.is_empty(), "{told}");
    if let Some(index) = told["index"].as_u64() {
        let commas = body.iter().filter(|byte| **byte == b',').count();
        assert!(index <= commas as u64, "{told}: there are no so many items");
    }
    if let Some(field) = told["field"].as_str() {
        assert!(said.contains(field), "{told}: the field is named to a person as well");
    }
}

/// The elements of an array, as they are written.
pub fn elements(body: &[u8]) -> Vec<&RawValue> {
    serde_json::from_slice(body).expect("what is taken is an array")
}

/// Every parameter of a call can be sent, as the type that PostgreSQL expects; and accounts are named
/// in the one order in which they are locked.
pub fn encodes<C: ArrayCall>(requests: &[Vec<C::Item>], types: &[Type]) {
    let columns = C::columns(requests);
    let header = header(7);
    let parameters = C::parameters(&header, &columns);
    assert_eq!(parameters.len(), types.len(), "one type each");
    for (at, (parameter, kind)) in parameters.iter().zip(types).enumerate() {
        let mut wire = BytesMut::new();
        let sent = parameter.to_sql_checked(kind, &mut wire);
        let sent = sent.unwrap_or_else(|error| panic!("${}: {error}", at + 1));
        assert!(matches!(sent, IsNull::No) || wire.is_empty());
    }
}

/// A call's header.
pub fn header(token: i64) -> Header {
    let not_after = Some(SystemTime::UNIX_EPOCH);
    Header { shard: 0, token, server: "fuzz".into(), not_after, dry_run: false }
}

/// What `giro.apply_transfers` takes.
pub fn transfer_types() -> [Type; 23] {
    [
        Type::INT4,
        Type::INT8,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::INT4_ARRAY,
        Type::UUID_ARRAY,
        Type::UUID_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::NUMERIC_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::UUID_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::JSONB_ARRAY,
        Type::TIMESTAMPTZ_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::BOOL_ARRAY,
        Type::INT4_ARRAY,
        Type::BOOL,
    ]
}

/// What `giro.create_accounts` takes.
pub fn account_types() -> [Type; 13] {
    [
        Type::INT4,
        Type::INT8,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::UUID_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::NUMERIC_ARRAY,
        Type::TEXT_ARRAY,
        Type::JSONB_ARRAY,
        Type::TIMESTAMPTZ_ARRAY,
        Type::INT4_ARRAY,
    ]
}
