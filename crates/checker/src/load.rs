//! Reads the history of a run into memory, and into the database beside the ledger.

use crate::asked::History;
use crate::files::{each_line, lines};
use crate::history::{ACCOUNTS, Answer, Asked, Attempt, HISTORY, Item, Opened, Told};
use crate::model::transfer::{POST_PENDING, VOID_PENDING};
use crate::session::Session;
use crate::{CheckError, history};
use bytes::{Bytes, BytesMut};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Bytes of one piece on the way to the database.
const PIECE: usize = 1 << 16;

/// Loads the history, and the accounts that it began with; `session` has the tables already.
pub(crate) async fn load(directory: &Path, session: &Session) -> Result<History, CheckError> {
    let opened = open(directory, session).await?;
    let mut history = transfers(directory, session).await?;
    history.opened = opened;
    Ok(history)
}

async fn open(directory: &Path, session: &Session) -> Result<Vec<Opened>, CheckError> {
    let opened: Vec<Opened> = lines(&directory.join(ACCOUNTS))?;
    let mut text = BytesMut::new();
    for Opened { id, flags, overdraft_limit } in &opened {
        let written =
            uuid(&mut text, Some(*id)).and_then(|()| writeln!(text, "{flags}\t{overdraft_limit}"));
        written.expect("a buffer takes everything");
    }
    // All of them are one piece: the channel has room for it.
    let (pieces, rows) = mpsc::channel(1);
    let sent = pieces.try_send(text.freeze());
    drop((pieces, sent));
    session.copy_in("load the accounts", "chaos_check.opened", rows).await?;
    Ok(opened)
}

async fn transfers(directory: &Path, session: &Session) -> Result<History, CheckError> {
    let (pieces, rows) = mpsc::channel(16);
    let path = directory.join(HISTORY);
    let read = spawn_blocking(move || read(path, &pieces));
    let copied = session.copy_in("load the history", "chaos_check.told", rows).await;
    let history = read.await.expect("reading a file does not panic");
    // What stopped the reader, if it is the copy, says more.
    copied.and(history)
}

fn read(path: PathBuf, pieces: &mpsc::Sender<Bytes>) -> Result<History, CheckError> {
    let mut history = History::default();
    let mut piece = BytesMut::with_capacity(2 * PIECE);
    each_line(&path, |line, attempt: Attempt| {
        write_rows(&mut piece, line, &attempt);
        history.add(line, attempt);
        if piece.len() >= PIECE {
            // An error: the copy has failed, which is told there.
            let _ = pieces.blocking_send(piece.split().freeze());
        }
    })?;
    let _ = pieces.blocking_send(piece.freeze());
    history.index();
    Ok(history)
}

/// The rows of `chaos_check.told`.
fn write_rows(rows: &mut BytesMut, line: u64, attempt: &Attempt) {
    let Asked::Transfers(items) = &attempt.asked else { return };
    for (place, item) in items.iter().enumerate() {
        let (answer, reason, replayed) = match &attempt.answer {
            Answer::Told(told) if told.len() == items.len() => match &told[place] {
                Told::Applied(applied) => ("applied", None, applied.replayed),
                Told::Rejected { reason, replayed } => ("rejected", Some(reason), *replayed),
                Told::NotApplied(reason) => ("not_applied", Some(reason), false),
                Told::Unknown => ("unknown", None, false),
            },
            Answer::NotSent => ("not_sent", None, false),
            _ => ("none", None, false),
        };
        let resolves = item.flags & (POST_PENDING | VOID_PENDING) != 0;
        let account = |id: u64| (id != 0 || !resolves).then_some(id);
        let Item { id, debit, credit, amount, flags, pending_id, timeout } = item;
        let written = (|| {
            write!(rows, "{line}\t{place}\t")?;
            uuid(rows, Some(*id))?;
            uuid(rows, account(*debit))?;
            uuid(rows, account(*credit))?;
            match amount {
                Some(amount) => write!(rows, "{amount}\t{flags}\t")?,
                None => write!(rows, "\\N\t{flags}\t")?,
            }
            uuid(rows, *pending_id)?;
            write!(rows, "{timeout}\t{answer}\t")?;
            match reason {
                Some(reason) => escaped(rows, reason)?,
                None => rows.write_str("\\N")?,
            }
            writeln!(rows, "\t{replayed}")
        })();
        written.expect("a buffer takes everything");
    }
}

fn uuid(rows: &mut BytesMut, id: Option<u64>) -> std::fmt::Result {
    match id {
        Some(id) => write!(rows, "{:032x}\t", u128::from(id)),
        None => rows.write_str("\\N\t"),
    }
}

fn escaped(rows: &mut BytesMut, text: &str) -> std::fmt::Result {
    for char in text.chars() {
        match char {
            '\\' => rows.write_str("\\\\")?,
            '\t' => rows.write_str("\\t")?,
            '\n' => rows.write_str("\\n")?,
            '\r' => rows.write_str("\\r")?,
            char => rows.write_char(char)?,
        }
    }
    Ok(())
}

/// The faults and the scrapes.
pub(crate) fn sides(
    directory: &Path,
) -> Result<(Vec<history::FaultSpan>, Vec<history::Scrape>), CheckError> {
    Ok((lines(&directory.join(history::FAULTS))?, lines(&directory.join(history::SCRAPES))?))
}
