use std::error::Error;
use tokio_postgres::types::{FromSql, Type};

/// An array as it comes. A `Vec` would make room for as many elements as the array says that it has, and a
/// few wrong bytes in a reply would end the process for want of memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Array<T>(pub(crate) Vec<T>);

/// Before the length of the first dimension: dimensions, whether there are NULLs, the type of the elements.
const HEADER_BYTES: usize = 12;
/// Of an element, its length.
const ELEMENT_BYTES: usize = 4;

impl<'a, T: FromSql<'a>> FromSql<'a> for Array<T> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let length = raw.get(HEADER_BYTES..).and_then(|rest| rest.first_chunk());
        let length = length.map_or(0, |length| u32::from_be_bytes(*length));
        if length as usize > raw.len() / ELEMENT_BYTES {
            return Err("an array with more elements than there are bytes for".into());
        }
        Vec::from_sql(kind, raw).map(Self)
    }

    fn accepts(kind: &Type) -> bool {
        <Vec<T> as FromSql>::accepts(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tokio_postgres::types::ToSql;

    #[test]
    fn an_array_has_no_more_elements_than_it_has_bytes_for() {
        let read = |raw: &[u8]| Array::<Option<i32>>::from_sql(&Type::INT4_ARRAY, raw).ok();
        for values in [vec![], vec![Some(7)], vec![None, Some(-1), None]] {
            let mut wire = BytesMut::new();
            values.to_sql(&Type::INT4_ARRAY, &mut wire).unwrap();
            assert_eq!(read(&wire), Some(Array(values.clone())));
            for cut in 0..wire.len() {
                assert!(read(&wire[..cut]).is_none(), "{values:?} cut behind {cut} bytes");
            }
            // Lengths for which there is not enough memory, or which are negative.
            for high in [0x7f, 0x80, 0xff].into_iter().filter(|_| !values.is_empty()) {
                wire[HEADER_BYTES] = high;
                assert!(read(&wire).is_none(), "{values:?}");
            }
        }
    }
}
