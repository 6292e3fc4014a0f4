//! The floor under any ledger: the rows that transfers leave behind, written without any rule into copies of the
//! tables that Giro's function writes them to, and the accounts (`update`).
//!
//! When a transfer comes to leave other rows, [`TABLES`] is what changes; [`look`] refuses to measure until it
//! has.

mod update;

use super::calls::apply;
use super::cell::Contender;
use bytes::Bytes;
use futures_util::SinkExt;
use giro_ledger::{Amount, ApplyTransfers, ArrayCall, Transfer};
use std::fmt::Write;
use std::pin::pin;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

/// A table of the ledger with rows for every transfer.
struct Table {
    name: &'static str,
    columns: &'static str,
    /// From `batch (seq, id, debit, credit, amount)`.
    select: &'static str,
    /// Rows for each transfer.
    rows: u64,
    /// The same rows as text for COPY.
    copy: fn(&Row, &mut String),
}

const TABLES: [Table; 1] = [Table {
    name: "decisions",
    columns: "seq, created_at, ledger, code, flags, id, debit_account, credit_account, amount,
              debit_previous, credit_previous",
    // Any id is as long as that of the transfer before.
    select: "seq, now(), 1, 1, 0, id, debit, credit, amount, id, id",
    rows: 1,
    copy: |Row { seq, id, debit, credit, amount }, text| {
        let _ =
            writeln!(text, "{seq}\tnow\t1\t1\t0\t{id}\t{debit}\t{credit}\t{amount}\t{id}\t{id}");
    },
}];

/// A transfer as its rows have it.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) id: Uuid,
    pub(super) debit: Uuid,
    pub(super) credit: Uuid,
    pub(super) amount: Amount,
}

/// Transfers of [`look`]; a table with fewer new rows has them for each call and not for each transfer.
pub(super) const SAMPLE: usize = 10;

/// Refuses to go on unless [`TABLES`] are those that the function inserts into.
pub(super) async fn look(superuser: &Client, transfers: Vec<Transfer>) -> Result<(), String> {
    let failed = |error: tokio_postgres::Error| format!("a look at the function: {error}");
    superuser.batch_execute("BEGIN").await.map_err(failed)?;
    apply(superuser, ApplyTransfers::STATEMENT, &transfers).await?;
    let sql = "SELECT relname::text, n_tup_ins FROM pg_stat_xact_user_tables
                WHERE schemaname = 'giro' AND n_tup_ins >= $1 ORDER BY relname";
    let found = superuser.query(sql, &[&(SAMPLE as i64)]).await.map_err(failed)?;
    superuser.batch_execute("ROLLBACK").await.map_err(failed)?;
    let found: Vec<_> = found.iter().map(|row| (row.get(0), row.get::<_, i64>(1) as u64)).collect();
    let known = TABLES.map(|table| (table.name.to_owned(), table.rows * SAMPLE as u64));
    (found == known).then_some(()).ok_or_else(|| {
        format!("{SAMPLE} transfers leave rows in {found:?}, and the floor writes {known:?}: see floor.rs")
    })
}

/// The copies, and how they are written.
pub(super) enum Floor {
    Insert(Statement),
    /// For each of [`TABLES`].
    Copy(Vec<Statement>),
    Update(Statement),
}

impl Floor {
    /// Makes what this contender writes to: a copy of the accounts, or empty tables with all indexes or the primary
    /// key alone.
    pub(super) async fn make(superuser: &Client, contender: Contender) -> Result<Self, String> {
        let failed = |error: tokio_postgres::Error| format!("the floor: {error}");
        let schema = "DROP SCHEMA IF EXISTS floor CASCADE; CREATE SCHEMA floor;";
        superuser.batch_execute(schema).await.map_err(failed)?;
        let floor = match contender {
            Contender::Update => update::make(superuser).await.map(Self::Update),
            Contender::Copy => Self::copy(superuser).await,
            _ => Self::insert(superuser, contender == Contender::InsertPk).await,
        };
        floor.map_err(failed)
    }

    async fn insert(superuser: &Client, key_alone: bool) -> Result<Self, tokio_postgres::Error> {
        make_tables(superuser, key_alone).await?;
        superuser.prepare(&insert()).await.map(Self::Insert)
    }

    async fn copy(superuser: &Client) -> Result<Self, tokio_postgres::Error> {
        make_tables(superuser, false).await?;
        let mut statements = Vec::new();
        for Table { name, columns, .. } in TABLES {
            let copy = format!("COPY floor.{name} ({columns}) FROM STDIN");
            statements.push(superuser.prepare(&copy).await?);
        }
        Ok(Self::Copy(statements))
    }

    /// A commit of so many rows.
    pub(super) async fn write(&self, client: &Client, rows: &[Row]) -> Result<(), String> {
        let failed = |error: tokio_postgres::Error| format!("the floor: {error}");
        let statement = match self {
            Self::Insert(statement) => statement,
            Self::Update(statement) => {
                return update::write(client, statement, rows).await.map_err(failed);
            }
            Self::Copy(statements) => return copy(client, statements, rows).await.map_err(failed),
        };
        fn column<T>(rows: &[Row], value: impl Fn(&Row) -> T) -> Vec<T> {
            rows.iter().map(value).collect()
        }
        let (seqs, ids) = (column(rows, |row| row.seq), column(rows, |row| row.id));
        let (debits, credits) = (column(rows, |row| row.debit), column(rows, |row| row.credit));
        let amounts = column(rows, |row| row.amount);
        let written = client.execute(statement, &[&seqs, &ids, &debits, &credits, &amounts]).await;
        written.map(drop).map_err(failed)
    }

    /// Whether what was written is there.
    pub(super) async fn check(&self, superuser: &Client, transfers: u64) -> Result<(), String> {
        if let Self::Update(_) = self {
            // Nobody else writes to either meanwhile; a transfer is a version of both of its accounts.
            let sql = "SELECT ((SELECT sum(version) FROM floor.account_state)
                               - (SELECT sum(version) FROM giro.account_state))::int8";
            let row = superuser.query_one(sql, &[]).await.map_err(|error| error.to_string())?;
            expect("versions of accounts", 2 * transfers, row.get::<_, i64>(0) as u64)?;
        } else {
            for Table { name, rows, .. } in TABLES {
                let sql = format!("SELECT count(*) FROM floor.{name}");
                let row =
                    superuser.query_one(&sql, &[]).await.map_err(|error| error.to_string())?;
                expect(name, transfers * rows, row.get::<_, i64>(0) as u64)?;
            }
        }
        let drop = superuser.batch_execute("DROP SCHEMA floor CASCADE").await;
        drop.map_err(|error| error.to_string())
    }
}

fn expect(what: &str, expected: u64, found: u64) -> Result<(), String> {
    let agree = found == expected;
    agree
        .then_some(())
        .ok_or_else(|| format!("{expected} {what} were written, and {found} are there"))
}

/// One statement for all tables.
fn insert() -> String {
    let [others @ .., last] = &TABLES;
    let into = |Table { name, columns, select, .. }: &Table| {
        format!("INSERT INTO floor.{name} ({columns}) SELECT {select} FROM batch")
    };
    let others: String =
        others.iter().map(|table| format!(", into_{} AS ({})", table.name, into(table))).collect();
    format!(
        "WITH batch AS (
             SELECT unnest($1::int8[]) AS seq, unnest($2::uuid[]) AS id, unnest($3::uuid[]) AS debit,
                    unnest($4::uuid[]) AS credit, unnest($5::numeric[]) AS amount
         ){others}
         {}",
        into(last)
    )
}

async fn make_tables(superuser: &Client, key_alone: bool) -> Result<(), tokio_postgres::Error> {
    let but = if key_alone { "EXCLUDING INDEXES" } else { "" };
    for Table { name, .. } in TABLES {
        let sql = "SELECT pg_get_constraintdef(oid) FROM pg_constraint
                    WHERE conrelid = ('giro.' || $1)::regclass AND contype = 'p'";
        let key: Option<String> = superuser.query_one(sql, &[&name]).await?.get(0);
        let key = key.filter(|_| key_alone).map(|key| format!(", {key}")).unwrap_or_default();
        let options = options(superuser, name).await?;
        let like = format!("LIKE giro.{name} INCLUDING ALL {but}");
        let make = format!("CREATE TABLE floor.{name} ({like}{key}) {options}");
        superuser.batch_execute(&make).await?;
    }
    Ok(())
}

/// The storage parameters of the ledger's table, as a clause.
async fn options(superuser: &Client, table: &str) -> Result<String, tokio_postgres::Error> {
    let sql = "SELECT coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '')
                 FROM pg_class WHERE oid = ('giro.' || $1)::regclass";
    Ok(superuser.query_one(sql, &[&table]).await?.get(0))
}

async fn copy(
    client: &Client,
    statements: &[Statement],
    rows: &[Row],
) -> Result<(), tokio_postgres::Error> {
    let together = statements.len() > 1;
    if together {
        client.batch_execute("BEGIN").await?;
    }
    for (statement, table) in statements.iter().zip(&TABLES) {
        let mut text = String::new();
        rows.iter().for_each(|row| (table.copy)(row, &mut text));
        let mut sink = pin!(client.copy_in::<_, Bytes>(statement).await?);
        sink.send(Bytes::from(text)).await?;
        sink.finish().await?;
    }
    if together {
        client.batch_execute("COMMIT").await?;
    }
    Ok(())
}
