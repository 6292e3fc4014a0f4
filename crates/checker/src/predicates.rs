//! C1 to C10: each is a query that returns the rows which violate it, and says in its first comment what
//! it says.

use crate::CheckError;
use crate::session::Session;
use crate::verdict::Predicate;

pub(crate) const TABLES: &str = include_str!("../sql/tables.sql");
pub(crate) const PREPARE: &str = include_str!("../sql/prepare.sql");

/// A predicate in SQL, and what it looks at, as a query that counts it.
struct Query {
    sql: &'static str,
    looks_at: &'static str,
}

macro_rules! queries {
    ($($file:literal of $looks_at:literal;)+) => {
        [$(Query { sql: include_str!(concat!("../sql/", $file)), looks_at: $looks_at }),+]
    };
}

const QUERIES: [Query; 10] = queries! {
    "c01.sql" of "chaos_check.answered WHERE answer = 'applied'";
    "c02.sql" of "giro.decisions WHERE reason IS NULL";
    "c03.sql" of "chaos_check.answered WHERE answer IN ('rejected', 'not_applied', 'not_sent')";
    "c04.sql" of "giro.decisions";
    "c05.sql" of "chaos_check.answered WHERE stored IS NOT NULL";
    "c06.sql" of "chaos_check.posting";
    "c07.sql" of "giro.account_state";
    "c08.sql" of "giro.account_state";
    "c09.sql" of "chaos_check.posting";
    "c10.sql" of "giro.batches";
};

/// Runs all of them.
pub(crate) async fn check(session: &Session) -> Result<Vec<Predicate>, CheckError> {
    session.run("prepare", PREPARE).await?;
    let mut predicates = Vec::new();
    for Query { sql, looks_at } in &QUERIES {
        let (name, says) = header(sql);
        let mut predicate = Predicate::new(name, says);
        let count = format!("SELECT count(*) FROM {looks_at}");
        predicate.looked_at = session.number(name, &count).await?;
        let rows = format!("SELECT row_to_json(violation)::text FROM ({sql}) AS violation");
        session.each_text(name, &rows, |row| predicate.violated(|| row)).await?;
        predicates.push(predicate);
    }
    Ok(predicates)
}

/// The name and the sentence of the first line: `-- C1: …`
fn header(sql: &'static str) -> (&'static str, &'static str) {
    let line = sql.lines().next().unwrap_or_default();
    line.trim_start_matches("-- ").split_once(": ").unwrap_or((line, ""))
}
