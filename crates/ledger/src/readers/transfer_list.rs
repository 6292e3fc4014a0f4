use super::account_list::exists;
use super::page::{self, Found, by_metadata, candidates, each, paged, seq};
use super::rows::{TRANSFER, transfer};
use super::session::Reader;
use super::{Order, Page, Read, ReadError, Span};
use crate::{Id, Metadata, Reference, Timestamp, TransferRecord};
use tokio_postgres::types::{Json, ToSql, Type};
use uuid::Uuid;

/// Which transfers a page shows, in the order of `seq`: of an account, or of the whole ledger.
#[derive(Debug)]
pub struct ListTransfers {
    /// Their ledger.
    pub ledger: i32,
    /// Of this account only.
    pub account: Option<Id>,
    /// Of this side of the account only.
    pub side: Option<Side>,
    /// The one that resolved this hold.
    pub pending_id: Option<Id>,
    /// Of this type only.
    pub code: Option<i32>,
    /// With this text only.
    pub reference: Option<Reference>,
    /// With this in their metadata only.
    pub metadata: Option<Metadata>,
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

/// A side of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Transfers that debit it.
    Debit,
    /// Transfers that credit it.
    Credit,
}

/// Where candidates come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Ledger,
    /// The transfers of an account; `fields`: of which more is asked than their side.
    Account {
        side: Option<Side>,
        fields: bool,
    },
    /// What resolved a hold: one transfer, by a unique index.
    Resolution(Option<Side>),
    /// Ids that an index found.
    Ids,
}

/// $1 ledger, $2 and $3 the range of seq, $4 candidates, $5 limit, then the filters; $11 the account,
/// $12 the hold, $13 ids.
const TYPES: [Type; 13] = [
    Type::INT4,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT4,
    Type::TEXT,
    Type::JSONB,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::UUID,
    Type::UUID_ARRAY,
];

const MATCHES: &str = "coalesce(($6 IS NULL OR t.code = $6) AND ($7 IS NULL OR t.reference = $7)
    AND ($8 IS NULL OR t.metadata @> $8) AND ($9 IS NULL OR t.created_at >= $9)
    AND ($10 IS NULL OR t.created_at < $10), false)";

/// What the index on the order of a ledger asks of a statement.
const IN_ORDER: &str = "t.seq > 0";

/// By that index: the rows of a page lie next to each other in it.
const LOOKUP: &str = "t.seq = p.seq AND t.seq > 0";

/// By the key: what lists an account has just been there.
const BY_KEY: &str = "true";

/// Of the account on either side.
const EITHER: &str = "(t.debit_account = $11 OR t.credit_account = $11)";

/// Candidates that are looked at first, for each item asked for.
const FEW: i64 = 10;

/// Times of batches that ran at once differ from the order of their `seq` by less than this.
const DISORDER: &str = "interval '1 second'";

/// What the operator of a database runs to have transfers found by metadata.
const INDEX: &str =
    "CREATE INDEX CONCURRENTLY ON giro.decisions USING gin (metadata jsonb_path_ops)";

impl Read for ListTransfers {
    type Output = Page<TransferRecord, i64>;

    async fn run(&self, reader: &Reader) -> Result<Self::Output, ReadError> {
        let (from, mut until) = self.seqs.rest(self.order, self.after);
        let mut source = self.source();
        let mut ids: Option<Vec<Uuid>> = None;
        if source == Source::Ledger {
            // Read before the page's snapshot is taken: what it names is in there.
            until = until.min(settled(reader).await?);
            if let Some(metadata) = &self.metadata {
                match by_metadata(reader, "transfers", self.ledger, metadata).await? {
                    Found::Few(found) => (source, ids) = (Source::Ids, Some(found)),
                    Found::Many => {}
                    Found::NoIndex => return Err(ReadError::NoIndex(INDEX)),
                }
            }
        }
        let more = i64::from(self.limit) + 1;
        let most = candidates(self.limit, self.filters(source));
        // A function gives its candidates together: the first ones may do.
        let few = if source.is_account() { most.min(FEW * more) } else { most };
        let reference = self.reference.as_ref().map(Reference::as_str);
        let metadata = self.metadata.as_ref().map(|metadata| Json(metadata.raw()));
        let (account, hold) = (self.account.map(|id| id.0), self.pending_id.map(|id| id.0));
        let Span { from: from_time, until: until_time } = self.times.map(|time| time.0);
        let statement = source.statement(self.order);
        let read = async |candidates: i64| {
            let parameters: [&(dyn ToSql + Sync); 13] = [
                &self.ledger,
                &from,
                &until,
                &candidates,
                &more,
                &self.code,
                &reference,
                &metadata,
                &from_time,
                &until_time,
                &account,
                &hold,
                &ids,
            ];
            reader.rows(&statement, &TYPES, &parameters).await
        };
        let (mut candidates, mut rows) = (few, read(few).await?);
        let place: Option<i64> = rows.last().map(|row| row.try_get("place")).transpose()?;
        if few < most && place == Some(few) && rows.len() <= usize::from(self.limit) {
            (candidates, rows) = (most, read(most).await?);
        }
        if let Some(account) = self.account
            && rows.is_empty()
            && !exists(reader, self.ledger, account).await?
        {
            return Err(ReadError::NoAccount);
        }
        page::page(&rows, self.limit, candidates, transfer, seq)
    }
}

impl ListTransfers {
    fn source(&self) -> Source {
        match (self.pending_id, self.account) {
            (Some(_), _) => Source::Resolution(self.side),
            (None, Some(_)) => Source::Account { side: self.side, fields: self.fields() },
            (None, None) => Source::Ledger,
        }
    }

    fn fields(&self) -> bool {
        self.code.is_some() || self.reference.is_some() || self.metadata.is_some()
    }

    /// Whether a candidate may be refused.
    fn filters(&self, source: Source) -> bool {
        match source {
            // A range of times is a range of seq.
            Source::Account { side, fields } => side.is_some() || fields,
            _ => self.fields() || !self.times.is_open(),
        }
    }
}

impl Source {
    fn statement(self, order: Order) -> String {
        let candidates = match self {
            Self::Ledger => branch("giro.transfers AS t", IN_ORDER, order),
            Self::Account { side, fields } => of_account(side, fields, order),
            Self::Resolution(side) => {
                let side = side.map_or(EITHER, Side::condition);
                let condition = format!("t.pending_id = $12 AND ($11 IS NULL OR {side})");
                branch("giro.transfers AS t", &condition, order)
            }
            Self::Ids => branch(&each("giro.transfers", "$13"), "true", order),
        };
        let range = match self {
            Self::Ledger => range(&format!("$9 - {DISORDER}"), &format!("$10 + {DISORDER}")),
            Self::Account { .. } => range("$9", "$10"),
            Self::Resolution(_) | Self::Ids => "SELECT $2 AS low, $3 AS high".into(),
        };
        let lookup = if self.is_account() { BY_KEY } else { LOOKUP };
        let page = paged("giro.transfers", TRANSFER, "seq", lookup, order, &candidates);
        format!("WITH range AS MATERIALIZED ({range}) {page}")
    }

    fn is_account(self) -> bool {
        matches!(self, Self::Account { .. })
    }
}

impl Side {
    fn condition(self) -> &'static str {
        match self {
            Self::Debit => "t.debit_account = $11",
            Self::Credit => "t.credit_account = $11",
        }
    }

    /// In what giro.account_transfers returns.
    fn listed(self) -> &'static str {
        match self {
            Self::Debit => "a.side = 'debit'",
            Self::Credit => "a.side = 'credit'",
        }
    }
}

/// Candidates from the list of an account, looked up where a filter asks for more than their side.
fn of_account(side: Option<Side>, fields: bool, order: Order) -> String {
    let descending = order == Order::Descending;
    let side = side.map_or("true", Side::listed);
    let (fields, lookup) = match fields {
        true => (
            MATCHES,
            "CROSS JOIN LATERAL (SELECT * FROM giro.transfers v
                                  WHERE v.ledger = $1 AND v.id = a.id OFFSET 0) AS t",
        ),
        false => ("true", ""),
    };
    format!(
        "SELECT a.seq, a.id, {side} AND {fields} AS matches
           FROM range r
          CROSS JOIN LATERAL giro.account_transfers($1, $11, r.low, r.high, {descending}, $4) AS a
          {lookup}"
    )
}

/// Candidates by one index.
fn branch(source: &str, condition: &str, order: Order) -> String {
    format!(
        "(SELECT t.seq, t.id, {MATCHES} AS matches
            FROM {source}
           WHERE t.ledger = $1 AND {condition}
             AND t.seq >= (SELECT low FROM range) AND t.seq < (SELECT high FROM range)
           ORDER BY t.seq {} LIMIT $4)",
        order.sql()
    )
}

/// The range of seq, narrowed by that of times.
fn range(from: &str, until: &str) -> String {
    format!(
        "SELECT greatest($2, CASE WHEN $9 IS NOT NULL THEN giro.seq_at($1, $11, {from}) END) AS low,
                least($3, CASE WHEN $10 IS NOT NULL THEN giro.seq_at($1, $11, {until}) END) AS high"
    )
}

/// The seq before which every transfer that will ever be applied is visible from now on.
async fn settled(reader: &Reader) -> Result<i64, ReadError> {
    let rows = reader.rows("SELECT giro.settled_seq() + 1", &[], &[]).await?;
    let row = rows.first().ok_or_else(|| ReadError::Database("no row from a function".into()))?;
    Ok(row.try_get(0)?)
}
