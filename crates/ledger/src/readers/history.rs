use super::lookup::AccountById;
use super::session::Reader;
use super::{Order, Page, Read, ReadError, Span};
use crate::json::digits;
use crate::json_schema::Counter;
use crate::transfer::{decimal, rfc3339};
use crate::{AccountFlag, AccountRecord, Amount, Id, Timestamp};
use serde::Serialize;
use std::str::FromStr;
use std::time::SystemTime;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use utoipa::ToSchema;

/// The balances of an account with the flag `history` after each of its changes, by `seq`.
#[derive(Debug)]
pub struct ListBalances {
    /// Its ledger.
    pub ledger: i32,
    /// The account.
    pub account: Id,
    /// By `created_at`.
    pub times: Span<Timestamp>,
    /// By `seq`.
    pub seqs: Span<i64>,
    /// Of `seq`.
    pub order: Order,
    /// At most so many.
    pub limit: u16,
    /// Go on after this `seq`.
    pub after: Option<i64>,
}

/// The balances of an account with the flag `history` as they were.
#[derive(Debug)]
pub struct BalanceAt {
    /// Its ledger.
    pub ledger: i32,
    /// The account.
    pub account: Id,
    /// When.
    pub at: Moment,
}

/// A place in the history of an account.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// After everything that had happened by then.
    Time(Timestamp),
    /// After the change with this `seq`, or the last one before it.
    Seq(i64),
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seq = digits(text).and_then(|seq| i64::try_from(seq).ok()).map(Self::Seq);
        seq.or_else(|| text.parse().ok().map(Self::Time))
            .ok_or("must be a seq, or a moment in UTC such as 2026-11-22T10:00:00.000001Z")
    }
}

/// An account's balances after a change.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct BalanceRecord {
    /// The `seq` of the change: of a transfer, or of a hold's expiry; absent before the first.
    #[serde(serialize_with = "seq", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Counter)]
    pub seq: Option<i64>,
    /// Counts the account's changes, without a gap.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = Counter)]
    pub version: i64,
    /// Held on the debit side.
    pub debits_pending: Amount,
    /// Debited for good.
    pub debits_posted: Amount,
    /// Held on the credit side.
    pub credits_pending: Amount,
    /// Credited for good.
    pub credits_posted: Amount,
    /// When the change was made; before the first, when the account was created.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = Timestamp)]
    pub created_at: SystemTime,
}

const COLUMNS: &str = "t.seq, t.version, t.debits_pending, t.debits_posted, t.credits_pending,
    t.credits_posted, t.created_at";

impl Read for ListBalances {
    type Output = Page<BalanceRecord, i64>;

    async fn run(&self, reader: &Reader) -> Result<Self::Output, ReadError> {
        // created_at never falls along an account's history: a range of times is a range of seq.
        let first = |time: &str| {
            format!(
                "coalesce((SELECT f.seq FROM giro.balance_history f
                            WHERE f.ledger = $1 AND f.account = $2 AND f.created_at >= {time}
                            ORDER BY f.created_at, f.seq LIMIT 1), 9223372036854775807)"
            )
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM giro.balance_history t
              WHERE t.ledger = $1 AND t.account = $2
                AND t.seq >= (SELECT greatest($3, CASE WHEN $6 IS NOT NULL THEN {} END))
                AND t.seq < (SELECT least($4, CASE WHEN $7 IS NOT NULL THEN {} END))
              ORDER BY t.seq {} LIMIT $5",
            first("$6"),
            first("$7"),
            self.order.sql()
        );
        let types = [
            Type::INT4,
            Type::UUID,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMPTZ,
        ];
        let (from, until) = self.seqs.rest(self.order, self.after);
        let more = i64::from(self.limit) + 1;
        let Span { from: from_time, until: until_time } = self.times.map(|time| time.0);
        let rows = reader
            .rows(
                &sql,
                &types,
                &[&self.ledger, &self.account.0, &from, &until, &more, &from_time, &until_time],
            )
            .await?;
        if rows.is_empty() {
            with_history(reader, self.ledger, self.account).await?;
        }
        let mut items: Vec<BalanceRecord> = rows.iter().map(record).collect::<Result<_, _>>()?;
        let goes_on = items.len() > usize::from(self.limit);
        items.truncate(usize::from(self.limit));
        let next = items.last().filter(|_| goes_on).and_then(|last| last.seq);
        Ok(Page { items, next })
    }
}

impl Read for BalanceAt {
    type Output = BalanceRecord;

    async fn run(&self, reader: &Reader) -> Result<BalanceRecord, ReadError> {
        let sql = |condition, order| {
            format!(
                "SELECT {COLUMNS} FROM giro.balance_history t
                  WHERE t.ledger = $1 AND t.account = $2 AND {condition} ORDER BY {order} LIMIT 1"
            )
        };
        let account = &self.account.0;
        let rows = match &self.at {
            Moment::Time(time) => {
                let sql = sql("t.created_at <= $3", "t.created_at DESC, t.seq DESC");
                let types = [Type::INT4, Type::UUID, Type::TIMESTAMPTZ];
                reader.rows(&sql, &types, &[&self.ledger, account, &time.0]).await?
            }
            Moment::Seq(seq) => {
                let sql = sql("t.seq <= $3", "t.seq DESC");
                let types = [Type::INT4, Type::UUID, Type::INT8];
                reader.rows(&sql, &types, &[&self.ledger, account, seq]).await?
            }
        };
        if let Some(row) = rows.first() {
            return record(row);
        }
        let created_at = with_history(reader, self.ledger, self.account).await?.balances.created_at;
        match self.at {
            Moment::Time(time) if time.0 < created_at => Err(ReadError::NotYet),
            _ => Ok(BalanceRecord::zero(created_at)),
        }
    }
}

impl BalanceRecord {
    /// Before the first change.
    fn zero(created_at: SystemTime) -> Self {
        Self {
            seq: None,
            version: 0,
            debits_pending: Amount(0),
            debits_posted: Amount(0),
            credits_pending: Amount(0),
            credits_posted: Amount(0),
            created_at,
        }
    }
}

/// The account, if it keeps its history.
async fn with_history(reader: &Reader, ledger: i32, id: Id) -> Result<AccountRecord, ReadError> {
    let account = AccountById { ledger, id }.run(reader).await?.ok_or(ReadError::NoAccount)?;
    match account.flags.contains(AccountFlag::History) {
        true => Ok(account),
        false => Err(ReadError::NoHistory),
    }
}

fn record(row: &Row) -> Result<BalanceRecord, ReadError> {
    Ok(BalanceRecord {
        seq: row.try_get(0)?,
        version: row.try_get(1)?,
        debits_pending: row.try_get(2)?,
        debits_posted: row.try_get(3)?,
        credits_pending: row.try_get(4)?,
        credits_posted: row.try_get(5)?,
        created_at: row.try_get(6)?,
    })
}

fn seq<S: serde::Serializer>(seq: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&seq.unwrap_or_default())
}
