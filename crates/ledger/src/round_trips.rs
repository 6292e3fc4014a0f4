//! Whatever a value is, it is read as it was written: in JSON, in text, and on the wire.

use crate::array::Array;
use crate::{AccountFlags, Amount, Id, Timestamp, TransferFlags};
use bytes::BytesMut;
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};
use tokio_postgres::types::{FromSql, ToSql, Type};

/// Small ones, large ones, and those around a power of the base in which PostgreSQL counts.
fn number() -> impl Strategy<Value = u128> {
    let around = (0..=38u32, 0..3u128).prop_map(|(digits, more)| 10u128.pow(digits) - 1 + more);
    prop_oneof![0..100u128, any::<u128>(), around]
}

fn json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("JSON");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wire<T: ToSql + for<'a> FromSql<'a>>(value: &T, kind: &Type) -> T {
    let mut wire = BytesMut::new();
    value.to_sql_checked(kind, &mut wire).expect("it can be sent");
    T::from_sql(kind, &wire).expect("it can be read")
}

proptest! {
    #[test]
    fn an_id(number in number()) {
        let id = Id::from(number);
        prop_assert_eq!(json(&id), id);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(number.to_string().parse(), Ok(id));
        prop_assert_eq!(u128::from(id), number);
    }

    #[test]
    fn an_amount(number in number()) {
        let amount = Amount(number);
        prop_assert_eq!(json(&amount), amount);
        prop_assert_eq!(wire(&amount, &Type::NUMERIC), amount);
        prop_assert_eq!(serde_json::from_str::<Amount>(&number.to_string()).unwrap(), amount);
    }

    #[test]
    fn amounts_of_which_some_are_missing(numbers in prop::collection::vec(prop::option::of(number()), 0..9)) {
        let amounts: Vec<Option<Amount>> = numbers.into_iter().map(|it| it.map(Amount)).collect();
        let mut sent = BytesMut::new();
        amounts.to_sql(&Type::NUMERIC_ARRAY, &mut sent).unwrap();
        let read = Array::<Option<Amount>>::from_sql(&Type::NUMERIC_ARRAY, &sent).unwrap();
        prop_assert_eq!(read, Array(amounts));
    }

    #[test]
    fn a_moment(micros in 0..253_402_300_800_000_000u64) {
        let moment = Timestamp(UNIX_EPOCH + Duration::from_micros(micros));
        prop_assert_eq!(json(&moment), moment);
        prop_assert_eq!(wire(&moment.0, &Type::TIMESTAMPTZ), moment.0);
    }

    #[test]
    fn flags(bits in 0..512i32) {
        let names = |bits| AccountFlags::from_bits(bits & 63);
        prop_assert_eq!(json(&names(bits)), names(bits));
        let all = TransferFlags::from_names(TransferFlags::MEANINGS.iter().map(|(name, _)| *name));
        let some = all.unwrap().names().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        let flags = TransferFlags::from_names(some.map(|(_, name)| name)).unwrap();
        prop_assert_eq!(flags.bits(), bits);
        prop_assert_eq!(json(&flags), flags);
    }
}
