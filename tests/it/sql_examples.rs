//! Every SQL block of docs/sql.md runs as it stands, and answers what stands below it.

use giro_tests::TestDatabase;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

const SQL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sql.md");

/// pg_cron's function, which runs the command once to see whether it works.
const PG_CRON: &str = "
    CREATE SCHEMA cron;
    CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint
    LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; RETURN 1; END $$;
    GRANT USAGE ON SCHEMA cron TO giro_owner";

#[tokio::test]
async fn the_sql_document_shows_real_answers() {
    let database = TestDatabase::new().await;
    let session = database.superuser().await;
    session.batch_execute(PG_CRON).await.unwrap();
    let document = std::fs::read_to_string(SQL).unwrap();
    let mut real = String::new();
    let mut parts = document.split("```sql\n");
    real.push_str(parts.next().unwrap());
    let mut blocks = 0;
    for part in parts {
        let (block, after) = part.split_once("```\n").expect("the end of the block");
        let (shown, after) =
            match after.strip_prefix("\n```\n").map(|after| after.split_once("```\n")) {
                Some(output) => output.expect("the end of the output"),
                None => ("", after),
            };
        let answers = run(&session, block).await;
        real.push_str(&format!("```sql\n{block}```\n"));
        if !answers.is_empty() {
            real.push_str(&format!("\n```\n{answers}```\n"));
        }
        real.push_str(after);
        blocks += 1;
        if super::documents::recording() {
            continue;
        }
        assert_eq!(cells(shown), cells(&answers), "{block}answers\n{answers}");
    }
    assert!(blocks >= 15, "blocks: {blocks}");
    if super::documents::recording() {
        std::fs::write(SQL, real).unwrap();
    }
}

/// Runs the statements of a block, one by one, as the role in its first line; their tables as psql
/// prints them.
async fn run(session: &Client, block: &str) -> String {
    let role = block.strip_prefix("-- as ").and_then(|rest| rest.lines().next());
    let role = role.unwrap_or_else(|| panic!("no role: {block}"));
    let become_it = format!("RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION {role}");
    session.batch_execute(&become_it).await.unwrap_or_else(|error| panic!("{role}: {error:?}"));
    let mut tables = Vec::new();
    for statement in statements(block) {
        let answer = session.simple_query(&statement).await;
        let answer = answer.unwrap_or_else(|error| panic!("{statement}\n{error:?}"));
        tables.extend(table(&answer));
    }
    session.batch_execute("RESET SESSION AUTHORIZATION").await.unwrap();
    tables.join("\n")
}

/// A statement ends with a line that ends with a semicolon, but for those within `$$`.
fn statements(block: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    for line in block.lines() {
        let statement = statements.last_mut().expect("one");
        statement.push_str(line);
        statement.push('\n');
        let is_within = statement.matches("$$").count() % 2 == 1;
        if line.ends_with(';') && !is_within {
            statements.push(String::new());
        }
    }
    assert_eq!(statements.pop().as_deref(), Some(""), "an unfinished statement: {block}");
    statements
}

/// What psql prints for the rows of a statement, if it has columns.
fn table(answer: &[SimpleQueryMessage]) -> Option<String> {
    let names: Vec<String> = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::RowDescription(columns) => {
            Some(columns.iter().map(|column| column.name().to_owned()).collect())
        }
        _ => None,
    })?;
    let cell = |row: &SimpleQueryRow, i| row.get(i).unwrap_or_default().to_owned();
    let rows: Vec<Vec<String>> = answer
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..names.len()).map(|i| cell(row, i)).collect()),
            _ => None,
        })
        .collect();
    let column = |i: usize| rows.iter().map(move |row| row[i].as_str());
    let is_number = |i| column(i).all(|value| value.parse::<i128>().is_ok());
    let widths: Vec<usize> = (0..names.len())
        .map(|i| column(i).chain([names[i].as_str()]).map(str::len).max().unwrap_or(0))
        .collect();
    let mut lines = String::new();
    let mut line = |cells: Vec<String>, separator: &str| {
        lines.push_str(cells.join(separator).trim_end());
        lines.push('\n');
    };
    line((0..names.len()).map(|i| format!(" {:^w$} ", names[i], w = widths[i])).collect(), "|");
    line(widths.iter().map(|width| "-".repeat(width + 2)).collect(), "+");
    for row in &rows {
        let cell = |i: usize| match is_number(i) {
            true => format!(" {:>w$} ", row[i], w = widths[i]),
            false => format!(" {:<w$} ", row[i], w = widths[i]),
        };
        line((0..row.len()).map(cell).collect(), "|");
    }
    let plural = if rows.len() == 1 { "" } else { "s" };
    line(vec![format!("({} row{plural})", rows.len())], "");
    Some(lines)
}

/// The cells of psql's tables; times differ from run to run.
fn cells(tables: &str) -> Vec<Vec<&str>> {
    let is_date = |cell: &str| {
        let form = |byte| if char::is_ascii_digit(&byte) { '9' } else { byte };
        cell.chars().take(10).map(form).eq("9999-99-99".chars())
    };
    let masked = |cell| if is_date(cell) { "(varies)" } else { cell };
    tables
        .lines()
        .filter(|line| !line.starts_with("--"))
        .map(|line| line.split('|').map(|cell| masked(cell.trim())).collect())
        .collect()
}
