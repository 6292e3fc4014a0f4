//! Falsified rows.

use super::fault::Checked;
use bytes::{Buf, Bytes, BytesMut};
use std::ops::Range;

/// Where the values of a DataRow are in the message; nothing for NULL.
fn values(row: &[u8]) -> Vec<Option<Range<usize>>> {
    let mut at = 7; // tag, length, number of columns
    let mut ranges = Vec::new();
    while let Some(mut length) = row.get(at..at + 4) {
        at += 4;
        let length = usize::try_from(length.get_i32()).ok();
        ranges.push(length.map(|length| at..row.len().min(at + length)));
        at += length.unwrap_or(0);
    }
    ranges
}

/// The bytes of all values.
pub(super) fn anywhere(row: &[u8]) -> Vec<Range<usize>> {
    values(row).into_iter().flatten().filter(|range| !range.is_empty()).collect()
}

/// The bytes of what the client checks.
pub(super) fn checked(row: &[u8], checked: &[Checked]) -> Vec<Range<usize>> {
    let values = values(row);
    let range = |checked: &Checked| {
        let value = values.get(checked.column)?.clone()?;
        Some(value.start + checked.from..value.end)
    };
    checked.iter().filter_map(range).filter(|range| !range.is_empty()).collect()
}

/// The message with some bits of one of these bytes flipped.
pub(super) fn flip(message: &[u8], among: &[Range<usize>], random: &mut fastrand::Rng) -> Bytes {
    let range = random.choice(among).expect("something to flip").clone();
    let mut bytes = BytesMut::from(message);
    bytes[random.usize(range)] ^= random.u8(1..);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token, NULL, and an empty text.
    const ROW: &[u8] = b"D\0\0\0\x1a\0\x03\0\0\0\x08ABCDEFGH\xff\xff\xff\xff\0\0\0\0";

    #[test]
    fn only_the_bytes_of_values_are_flipped_and_only_of_those_that_are_meant() {
        assert_eq!(values(ROW), [Some(11..19), None, Some(27..27)]);
        assert_eq!(anywhere(ROW), std::slice::from_ref(&(11..19)));
        let meant = [(0, 6), (0, 8), (1, 0), (2, 0), (3, 0)];
        let meant = meant.map(|(column, from)| Checked { column, from });
        let ranges = checked(ROW, &meant);
        assert_eq!(ranges, std::slice::from_ref(&(17..19)));
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            let garbled = flip(ROW, &ranges, &mut random);
            assert_eq!((garbled.len(), &garbled[..17]), (ROW.len(), &ROW[..17]));
            assert_eq!(&garbled[19..], &ROW[19..]);
            assert_eq!(garbled.iter().zip(ROW).filter(|(a, b)| a != b).count(), 1);
        }
    }
}
