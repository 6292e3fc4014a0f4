//! How ledgers grew.

use super::{known, origin, picture};
use crate::compare::cell::thousands;
use crate::compare::draw::table_size::ledgers;
use crate::compare::growth::{Growth, Point};
use crate::compare::spread::{short, whole};
use std::fmt::Write;

/// Transfers at which a ledger is looked at, beside its end.
const MARKS: [u64; 3] = [1_000_000, 10_000_000, 50_000_000];

/// The picture, and a row for each mark of each ledger.
pub(in crate::compare) fn growth(growth: &Growth, place: &str) -> String {
    let plan = |name: &str| known(&growth.origin.plan, name);
    let mut text = picture("What a transfer takes as the ledger grows", place, "table-size.svg");
    let _ = write!(
        text,
        "As a ledger grows: bulks of {} on {} connections in slices of {} for {}, autovacuum as it comes. Rows are the \
         first slices that ended with 1, 10 and 50 million transfers, and the last. {}\n\n\
         | accounts | transfers | transfers/s | CPU of the backends | WAL | tables | indexes | autovacuums |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        plan("bulk"),
        plan("connections"),
        plan("slice"),
        plan("for"),
        origin(&growth.origin),
    );
    for accounts in ledgers(growth) {
        let own: Vec<_> = growth.points.iter().filter(|it| it.accounts == accounts).collect();
        for point in marked(&own) {
            let value = |value: Option<f64>| value.map_or("–".to_owned(), short);
            let size = |bytes: i64| bytesize::ByteSize(bytes.unsigned_abs()).to_string();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} µs | {} B | {} | {} | {} |",
                thousands(accounts),
                thousands(point.transfers),
                whole(point.transfers_per_second),
                value(point.backend_cpu_us),
                value(point.wal_bytes),
                size(point.table_bytes),
                size(point.index_bytes),
                point.autovacuums,
            );
        }
    }
    let stopped = growth.stopped.iter().map(|why| format!("\n{why}.\n"));
    text + &stopped.collect::<String>()
}

/// The first point of each mark, and the last one.
fn marked<'a>(points: &[&'a Point]) -> Vec<&'a Point> {
    let first = |mark: &u64| points.iter().find(|point| point.transfers >= *mark);
    let mut marked: Vec<_> = MARKS.iter().filter_map(first).chain(points.last()).copied().collect();
    marked.dedup_by_key(|point| point.transfers);
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_shown_at_its_marks_and_at_its_end() {
        let point = |transfers| Point { transfers, ..Point::default() };
        let points = [500_000, 1_100_000, 9_000_000, 55_000_000, 60_000_000].map(point);
        let points: Vec<_> = points.iter().collect();
        let shown = |points: &[&Point]| -> Vec<u64> {
            marked(points).iter().map(|point| point.transfers).collect()
        };
        assert_eq!(shown(&points), [1_100_000, 55_000_000, 60_000_000]);
        assert_eq!(shown(&points[..1]), [500_000]);
    }
}
