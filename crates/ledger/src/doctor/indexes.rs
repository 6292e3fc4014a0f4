//! The indexes, compared with those of the migrations.

use super::check::Check;
use super::patient::Patient;
use super::quote::{briefly, quoted, quoted_in};
use super::report::{Finding, Severity};
use std::borrow::Cow;
use tokio_postgres::Row;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Primary,
    Unique,
    Plain,
}
use Kind::{Plain, Primary, Unique};

/// Name, table, kind, columns, and of which rows, in the words of `pg_get_indexdef`.
struct Index(&'static str, &'static str, Kind, &'static str, &'static str);

/// In the order of the tables.
const INDEXES: [Index; 18] = [
    Index("account_state_pkey", "account_state", Primary, "ledger, id", ""),
    Index("account_details_pkey", "account_details", Primary, "ledger, id", ""),
    Index("decisions_pkey", "decisions", Primary, "ledger, id", ""),
    Index(
        "decisions_resolution",
        "decisions",
        Unique,
        "ledger, pending_id",
        "((pending_id IS NOT NULL) AND (reason IS NULL))",
    ),
    Index(
        "decisions_debits",
        "decisions",
        Plain,
        "ledger, debit_account, seq",
        "((reason IS NULL) AND (debit_account IS NOT NULL) AND ((hashint8(seq) & 63) = 0))",
    ),
    Index(
        "decisions_credits",
        "decisions",
        Plain,
        "ledger, credit_account, seq",
        "((reason IS NULL) AND (credit_account IS NOT NULL) AND ((hashint8(seq) & 63) = 0))",
    ),
    Index("decisions_order", "decisions", Plain, "ledger, seq", "((reason IS NULL) AND (seq > 0))"),
    Index("batches_pkey", "batches", Primary, "shard, id", ""),
    Index("account_balances_pkey", "account_balances", Primary, "ledger, account, seq", ""),
    Index(
        "account_balances_created_at",
        "account_balances",
        Plain,
        "ledger, account, created_at, seq",
        "",
    ),
    Index("function_set_pkey", "function_set", Primary, "only_row", ""),
    Index("open_holds_pkey", "open_holds", Primary, "ledger, id", ""),
    Index("open_holds_expires_at", "open_holds", Plain, "expires_at", ""),
    Index("expirations_pkey", "expirations", Primary, "ledger, id", ""),
    Index("hold_chains_pkey", "hold_chains", Primary, "ledger, id", ""),
    Index("hold_chains_members", "hold_chains", Plain, "chain_ledger, chain_id, place", ""),
    Index("imports_pkey", "imports", Primary, "ledger, kind", ""),
    Index("migrations_pkey", "migrations", Primary, "version", ""),
];

/// Columns that a transfer changes.
const CHANGED: [&str; 10] = [
    "debits_pending",
    "debits_posted",
    "credits_pending",
    "credits_posted",
    "version",
    "changed_at",
    "flags",
    "last_transfer",
    "last_transfer_before",
    "changed_at_before",
];

const SQL: &str = "
SELECT i.relname::text, t.relname::text, x.indisvalid AND x.indisready, pg_get_indexdef(x.indexrelid),
       ARRAY(SELECT a.attname::text FROM pg_depend d
               JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = x.indrelid
                AND d.refobjsubid > 0
             UNION
             SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[])),
       x.indisprimary, x.indimmediate,
       (SELECT min(c.conname::text) FROM pg_constraint c
         WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u', 'x'))
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_class t ON t.oid = x.indrelid
 WHERE t.relnamespace = to_regnamespace('giro') AND t.relkind = 'r'
 ORDER BY 2, 1";

/// An index as it is.
struct Found<'a> {
    name: &'a str,
    table: &'a str,
    valid: bool,
    definition: &'a str,
    columns: Vec<&'a str>,
    primary: bool,
    immediate: bool,
    constraint: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn read(row: &'a Row) -> Self {
        Self {
            name: row.get(0),
            table: row.get(1),
            valid: row.get(2),
            definition: row.get(3),
            columns: row.get(4),
            primary: row.get(5),
            immediate: row.get(6),
            constraint: row.get(7),
        }
    }

    /// Its definition without settings of its storage.
    fn normalized(&self) -> Cow<'a, str> {
        let Some((head, rest)) = self.definition.split_once(" WITH (") else {
            return self.definition.into();
        };
        let tail = rest.split_once(')').map_or("", |(_, tail)| tail);
        format!("{head}{tail}").into()
    }

    fn drop(&self) -> String {
        match self.constraint {
            Some(constraint) => briefly(&format!(
                "ALTER TABLE {} DROP CONSTRAINT {};",
                quoted_in("giro", self.table),
                quoted(constraint)
            )),
            None => format!("DROP INDEX CONCURRENTLY {};", quoted_in("giro", self.name)),
        }
    }
}

impl Index {
    fn definition(&self, create: &str, name: &str) -> String {
        let Self(_, table, kind, columns, rows) = self;
        let unique = if *kind == Plain { "" } else { "UNIQUE " };
        let rows = if rows.is_empty() { String::new() } else { format!(" WHERE {rows}") };
        format!("CREATE {unique}{create} {name} ON giro.{table} USING btree ({columns}){rows}")
    }

    /// The constraint gives the index its name.
    fn make_primary(&self, of: &str) -> String {
        let Self(name, table, ..) = self;
        briefly(&format!(
            "ALTER TABLE giro.{table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {of};"
        ))
    }

    /// A plain CREATE INDEX or ADD PRIMARY KEY would stop all batches until it is through.
    fn make(&self) -> String {
        let create = self.definition("INDEX CONCURRENTLY", self.0) + ";";
        if self.2 == Primary { format!("{create}\n{}", self.make_primary(self.0)) } else { create }
    }

    /// The right one is there before the wrong one goes, which may keep ids apart as well.
    fn replace(&self, found: &Found<'_>) -> String {
        let Self(name, table, kind, ..) = self;
        let new = format!("{name}_new");
        let create = self.definition("INDEX CONCURRENTLY", &new);
        let swap = match found.constraint {
            Some(wrong) if *kind == Primary && found.table == *table => briefly(&format!(
                "ALTER TABLE giro.{table} DROP CONSTRAINT {}, \
                 ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {new};",
                quoted(wrong)
            )),
            _ if *kind == Primary => format!("{}\n{}", found.drop(), self.make_primary(&new)),
            _ => format!("{}\nALTER INDEX giro.{new} RENAME TO {name};", found.drop()),
        };
        format!("{create};\n{swap}")
    }

    /// What is wrong with it, and what mends that.
    fn problem(&self, found: Option<&Found<'_>>) -> Option<(String, String)> {
        let name = self.0;
        let Some(found) = found else { return Some(("is gone".into(), self.make())) };
        let same = found.normalized() == self.definition("INDEX", name) && found.immediate;
        if !same || (self.2 == Primary && !found.primary && found.constraint.is_some()) {
            let what = format!("is another one: {}", found.definition);
            return Some((what, self.replace(found)));
        }
        if !found.valid {
            return Some(("is invalid".into(), format!("REINDEX INDEX CONCURRENTLY giro.{name};")));
        }
        let primary = found.primary || self.2 != Primary;
        (!primary).then(|| ("is not the primary key".into(), self.make_primary(name)))
    }
}

pub(super) async fn look(patient: &mut Patient<'_>) {
    let Some(rows) = patient.ask(&[Check::IndexMissing, Check::IndexExtra], SQL).await else {
        return;
    };
    let all: Vec<_> = rows.iter().map(Found::read).collect();
    for index in &INDEXES {
        let found = all.iter().find(|found| found.name == index.0);
        let Some((what, sql)) = index.problem(found) else { continue };
        let evidence = format!("{} {what}", index.0);
        let finding = Finding::new(Check::IndexMissing, Severity::Critical, evidence).remedy(
            "Stop the servers first if it is a primary key or decisions_resolution: they are what gives an \
             id one answer. Make it again, in no transaction, each statement only when the one before has succeeded: batches go on \
             while an index is made. A constraint locks them out for a moment; if that takes a second, it gives \
             up: paste it again. Then let `giro verify` look at what was written meanwhile.",
        );
        patient.add(finding.sql(sql));
    }
    for found in all.iter().filter(|found| !INDEXES.iter().any(|index| index.0 == found.name)) {
        patient.add(extra(found));
    }
}

fn extra(found: &Found<'_>) -> Finding {
    let changed = found.columns.iter().any(|column| CHANGED.contains(column));
    let (severity, remedy) = match found.table == "account_state" && changed {
        true => (
            Severity::Critical,
            "No update of a balance can stay on its page (HOT) while there is an index on what it \
             changes: every batch writes all indexes, and hot rows bloat. Drop it; for a ranking by \
             balance, copy balances into a table of your own.",
        ),
        false => (
            Severity::Notice,
            "Every batch writes it. Keep it if reads need it, as with a GIN index on metadata.",
        ),
    };
    let evidence = format!("on giro.{}: {}", found.table, found.definition);
    Finding::new(Check::IndexExtra, severity, evidence).remedy(remedy).sql(found.drop())
}
