use crate::Reason;
use crate::array::Array;
use std::time::SystemTime;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

/// An array function: how a batch becomes its parameters, and its row the verdicts.
///
/// Nothing else in the engine knows which function it calls.
pub trait ArrayCall: Send + Sync + 'static {
    /// One element of a request.
    type Item: Send + Sync + 'static;
    /// What an applied item carries.
    type Applied: Send + 'static;
    /// A batch as parallel arrays, borrowed from its items.
    type Columns<'a>: Send + Sync;

    /// The function's name, for logs and metrics.
    const NAME: &'static str;
    /// The statement that is prepared once per connection: one row of arrays comes back.
    const STATEMENT: &'static str;

    /// The items of a batch, column by column.
    fn columns<'a>(requests: &'a [Vec<Self::Item>]) -> Self::Columns<'a>;

    /// The statement's parameters, in order.
    fn parameters<'a>(
        header: &'a Header,
        columns: &'a Self::Columns<'_>,
    ) -> Vec<&'a (dyn ToSql + Sync)>;

    /// One verdict per item, by position, if the row is the answer to this call.
    fn verdicts(
        row: &Row,
        header: &Header,
        columns: &Self::Columns<'_>,
    ) -> Result<Vec<Verdict<Self::Applied>>, BadReply>;
}

/// What every array function takes first.
pub struct Header {
    /// Where a distributed engine would route the call; one for now.
    pub shard: i32,
    /// Comes back as `echo`.
    pub token: i64,
    /// Who calls, for the row in `giro.batches`.
    pub server: String,
    /// The call must not apply past this moment, by the database's clock.
    pub not_after: Option<SystemTime>,
    /// Judges only: locks nothing and writes nothing. For transfers.
    pub dry_run: bool,
}

/// What became of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<A> {
    /// Durable.
    Applied {
        /// It had been applied before, with the same content.
        replayed: bool,
        /// What the ledger added.
        applied: A,
    },
    /// Judged and refused.
    Rejected {
        /// It had been refused before.
        replayed: bool,
        /// Why.
        reason: Reason,
    },
}

/// A reply that cannot be the answer to this call. The data may have been committed.
#[derive(Debug, thiserror::Error)]
pub enum BadReply {
    /// Another call's token or ids: replies have been shifted.
    #[error("the reply echoes another call")]
    Echo,
    /// It does not have the shape it must have.
    #[error("the reply cannot be read: {0}")]
    Shape(String),
}

impl BadReply {
    pub(crate) fn shape(problem: impl ToString) -> Self {
        Self::Shape(problem.to_string())
    }
}

/// One array of a reply, as long as the call.
pub(crate) fn array<'a, T: FromSql<'a>>(
    row: &'a Row,
    column: &str,
    len: usize,
) -> Result<Vec<T>, BadReply> {
    let Array(values) = row.try_get(column).map_err(BadReply::shape)?;
    if values.len() != len {
        return Err(BadReply::Shape(format!("{column} has {} of {len} elements", values.len())));
    }
    Ok(values)
}

/// The reasons of a reply, `None` where the item was applied.
pub(crate) fn reasons(row: &Row, len: usize) -> Result<Vec<Option<Reason>>, BadReply> {
    let names: Vec<Option<&str>> = array(row, "reasons", len)?;
    let reason = |name| {
        Reason::from_name(name).ok_or_else(|| BadReply::Shape(format!("unknown reason {name}")))
    };
    names.into_iter().map(|name| name.map(reason).transpose()).collect()
}
