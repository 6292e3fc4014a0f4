//! Pages of a listing: each is one statement, from one snapshot, and looks at a bounded number of
//! rows in the order of an index.

use super::ReadError;
use super::session::Reader;
use crate::array::Array;
use crate::{Id, Metadata};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

/// Rows that a page looks at, at most, when a filter may refuse them.
const CANDIDATES_MAX: i64 = 10_000;

/// Bytes after which a page ends: metadata can be large, and the reply waits in memory for its client.
const BYTES_MAX: usize = 1024 * 1024;

/// In which direction a listing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl Order {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }
}

/// From a value on, until before another.
#[derive(Debug, Clone, Copy)]
pub struct Span<T> {
    /// Inclusive.
    pub from: Option<T>,
    /// Exclusive.
    pub until: Option<T>,
}

impl<T> Span<T> {
    pub(super) fn is_open(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    pub(super) fn map<U>(self, convert: fn(T) -> U) -> Span<U> {
        Span { from: self.from.map(convert), until: self.until.map(convert) }
    }
}

impl Span<i64> {
    /// The values, from the first until before the last, of which a page that goes on `after` a
    /// position still has to look at.
    pub(super) fn rest(self, order: Order, after: Option<i64>) -> (i64, i64) {
        let (from, until) = (self.from.unwrap_or(0), self.until.unwrap_or(i64::MAX));
        match (order, after) {
            (_, None) => (from, until),
            (Order::Ascending, Some(seq)) => (from.max(seq.saturating_add(1)), until),
            (Order::Descending, Some(seq)) => (from, until.min(seq)),
        }
    }
}

/// Some of what a listing holds, in its order.
#[derive(Debug)]
pub struct Page<T, P> {
    /// As many as were asked for; fewer at the end, or where a filter refused too many.
    pub items: Vec<T>,
    /// After which position the next page goes on; `None` at the end.
    pub next: Option<P>,
}

/// How many rows a page looks at.
pub(super) fn candidates(limit: u16, filtered: bool) -> i64 {
    if filtered { CANDIDATES_MAX } else { i64::from(limit) + 1 }
}

/// The page that a statement of [`paged`] makes.
///
/// Each row is followed by whether it matches and by its place among the candidates: the last
/// candidate comes in any case, and says where to go on.
pub(super) fn page<T, P>(
    rows: &[Row],
    limit: u16,
    candidates: i64,
    item: fn(&Row) -> Result<T, ReadError>,
    position: fn(&Row) -> Result<P, ReadError>,
) -> Result<Page<T, P>, ReadError> {
    let mut items = Vec::with_capacity(rows.len());
    let mut bytes = 0;
    let mut last = None;
    for row in rows.iter().take(usize::from(limit)) {
        if row.try_get("matches")? {
            items.push(item(row)?);
        }
        last = Some(row);
        bytes += row.raw_size_bytes();
        if bytes >= BYTES_MAX {
            break;
        }
    }
    let Some(last) = last else { return Ok(Page { items, next: None }) };
    let place: i64 = last.try_get("place")?;
    let goes_on = place == candidates || rows.last().is_some_and(|row| !std::ptr::eq(row, last));
    Ok(Page { items, next: goes_on.then(|| position(last)).transpose()? })
}

/// A statement that gives `limit` rows of a view in the order of `key`: those of its candidates that
/// match, and the last candidate. `candidates` gives key, id and matches, in order and no more than $4;
/// `lookup` finds the row t of a candidate p. $1 is the ledger, $5 the limit and one more.
pub(super) fn paged(
    view: &str,
    columns: &str,
    key: &str,
    lookup: &str,
    order: Order,
    candidates: &str,
) -> String {
    let order = order.sql();
    format!(
        "SELECT {columns}, p.matches, p.place
           FROM (SELECT * FROM (SELECT c.*, row_number() OVER (ORDER BY c.{key} {order}) AS place
                                  FROM ({candidates}) AS c) AS c
                  WHERE c.matches OR c.place = $4
                  ORDER BY c.{key} {order} LIMIT $5) AS p
          CROSS JOIN LATERAL (SELECT * FROM {view} t
                               WHERE t.ledger = $1 AND t.id = p.id AND {lookup} OFFSET 0) AS t
          ORDER BY p.{key} {order}"
    )
}

/// The rows t of a view that have one of these ids, each looked up by itself: the planner does not look
/// behind OFFSET 0, and cannot turn the join around.
pub(super) fn each(view: &str, ids: &str) -> String {
    format!(
        "unnest({ids}) AS u (id)
           CROSS JOIN LATERAL (SELECT * FROM {view} v WHERE v.ledger = $1 AND v.id = u.id OFFSET 0) AS t"
    )
}

/// What an index finds by metadata.
pub(super) enum Found {
    /// These ids.
    Few(Vec<Uuid>),
    /// More than a page may look at: they are frequent enough to be found in order.
    Many,
    /// There is no such index.
    NoIndex,
}

/// Asks the index for what contains the metadata.
pub(super) async fn by_metadata(
    reader: &Reader,
    kind: &str,
    ledger: i32,
    metadata: &Metadata,
) -> Result<Found, ReadError> {
    let sql = "SELECT m.indexed, m.ids FROM giro.metadata_matches($1, $2, $3, $4) AS m";
    let types = [Type::TEXT, Type::INT4, Type::JSONB, Type::INT4];
    let at_most = CANDIDATES_MAX as i32;
    let rows = reader.rows(sql, &types, &[&kind, &ledger, &Json(metadata.raw()), &at_most]).await?;
    let row = rows.first().ok_or_else(|| ReadError::Database("no row from a function".into()))?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(Found::NoIndex);
    }
    let few = row.try_get::<_, Option<Array<Uuid>>>(1)?;
    Ok(few.map_or(Found::Many, |Array(ids)| Found::Few(ids)))
}

/// The column `seq` of a row.
pub(super) fn seq(row: &Row) -> Result<i64, ReadError> {
    Ok(row.try_get("seq")?)
}

/// The column `id` of a row.
pub(super) fn id(row: &Row) -> Result<Id, ReadError> {
    Ok(Id(row.try_get("id")?))
}
