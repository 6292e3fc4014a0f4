use super::page::{self, Found, by_metadata, candidates, each, id, paged};
use super::rows::{ACCOUNT, account};
use super::session::Reader;
use super::{Order, Page, Read, ReadError, Span};
use crate::{AccountFlags, AccountRecord, Id, Metadata, Reference, Timestamp};
use tokio_postgres::types::{Json, ToSql, Type};
use uuid::Uuid;

/// Which accounts of a ledger a page shows, in the order of their ids.
#[derive(Debug)]
pub struct ListAccounts {
    /// Their ledger.
    pub ledger: i32,
    /// Of this type only.
    pub code: Option<i32>,
    /// With these flags only.
    pub flags: AccountFlags,
    /// With this text only.
    pub reference: Option<Reference>,
    /// With this in their metadata only.
    pub metadata: Option<Metadata>,
    /// By `created_at`.
    pub times: Span<Timestamp>,
    /// Of `id`.
    pub order: Order,
    /// At most so many.
    pub limit: u16,
    /// Go on after this id.
    pub after: Option<Id>,
}

/// $1 ledger, $2 and $3 the range of ids, $4 candidates, $5 limit, then the filters; $12 ids.
const TYPES: [Type; 12] = [
    Type::INT4,
    Type::UUID,
    Type::UUID,
    Type::INT8,
    Type::INT8,
    Type::INT4,
    Type::TEXT,
    Type::JSONB,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TEXT_ARRAY,
    Type::UUID_ARRAY,
];

const MATCHES: &str = "coalesce(($6 IS NULL OR t.code = $6) AND ($7 IS NULL OR t.reference = $7)
    AND ($8 IS NULL OR t.metadata @> $8) AND ($9 IS NULL OR t.created_at >= $9)
    AND ($10 IS NULL OR t.created_at < $10) AND ($11 IS NULL OR t.flags @> $11), false)";

/// What the operator of a database runs to have accounts found by metadata.
const INDEX: &str =
    "CREATE INDEX CONCURRENTLY ON giro.account_details USING gin (metadata jsonb_path_ops)";

impl Read for ListAccounts {
    type Output = Page<AccountRecord, Id>;

    async fn run(&self, reader: &Reader) -> Result<Self::Output, ReadError> {
        let mut ids: Option<Vec<Uuid>> = None;
        if let Some(metadata) = &self.metadata {
            match by_metadata(reader, "accounts", self.ledger, metadata).await? {
                Found::Few(found) => ids = Some(found),
                Found::Many => {}
                Found::NoIndex => return Err(ReadError::NoIndex(INDEX)),
            }
        }
        // No account has either as its id.
        let (mut above, mut below) = (Uuid::nil(), Uuid::max());
        match (self.order, self.after) {
            (_, None) => {}
            (Order::Ascending, Some(id)) => above = id.0,
            (Order::Descending, Some(id)) => below = id.0,
        }
        let candidates = candidates(self.limit, self.filters());
        let more = i64::from(self.limit) + 1;
        let reference = self.reference.as_ref().map(Reference::as_str);
        let metadata = self.metadata.as_ref().map(|metadata| Json(metadata.raw()));
        let flags: Option<Vec<&str>> =
            (self.flags != AccountFlags::default()).then(|| self.flags.names().collect());
        let Span { from: from_time, until: until_time } = self.times.map(|time| time.0);
        let parameters: [&(dyn ToSql + Sync); 12] = [
            &self.ledger,
            &above,
            &below,
            &candidates,
            &more,
            &self.code,
            &reference,
            &metadata,
            &from_time,
            &until_time,
            &flags,
            &ids,
        ];
        let statement = statement(ids.is_some(), self.order);
        let rows = reader.rows(&statement, &TYPES, &parameters).await?;
        page::page(&rows, self.limit, candidates, account, id)
    }
}

impl ListAccounts {
    /// Whether a candidate may be refused.
    fn filters(&self) -> bool {
        self.code.is_some()
            || self.flags != AccountFlags::default()
            || self.reference.is_some()
            || self.metadata.is_some()
            || !self.times.is_open()
    }
}

fn statement(by_ids: bool, order: Order) -> String {
    let source = match by_ids {
        true => each("giro.accounts", "$12"),
        false => "giro.accounts AS t".into(),
    };
    let candidates = format!(
        "SELECT t.id, {MATCHES} AS matches FROM {source}
          WHERE t.ledger = $1 AND t.id > $2 AND t.id < $3 ORDER BY t.id {} LIMIT $4",
        order.sql()
    );
    paged("giro.accounts", ACCOUNT, "id", "true", order, &candidates)
}

/// Whether the ledger has this account.
pub(super) async fn exists(reader: &Reader, ledger: i32, id: Id) -> Result<bool, ReadError> {
    let sql = "SELECT FROM giro.accounts t WHERE t.ledger = $1 AND t.id = $2";
    let rows = reader.rows(sql, &[Type::INT4, Type::UUID], &[&ledger, &id.0]).await?;
    Ok(!rows.is_empty())
}
