//! A check from beginning to end.

use crate::asked::History;
use crate::history::{FaultSpan, Scrape};
use crate::seen::Settings;
use crate::session::Session;
use crate::stored::Stored;
use crate::timeline::Timeline;
use crate::verdict::{Predicate, Verdict};
use crate::{CheckError, answers, bookkeeping, load, order, predicates, reads, replay};
use crate::{resolved, seen};
use std::path::Path;
use tokio::task::spawn_blocking;

pub(crate) const DROP: &str = "DROP SCHEMA IF EXISTS chaos_check CASCADE";

pub(crate) async fn run(
    directory: &Path,
    session: &Session,
    url: &str,
) -> Result<Verdict, CheckError> {
    let settings = Settings::of(directory)?;
    let (faults, scrapes) = load::sides(directory)?;
    session.run("drop an earlier check's schema", DROP).await?;
    session.run("create the schema", predicates::TABLES).await?;
    let history = load::load(directory, session).await?;
    // The one keeps PostgreSQL busy, the other this process.
    let in_memory = async {
        let stored = Stored::read(&Session::open(url).await?).await?;
        let check = move || in_memory(&history, stored, &scrapes, &faults, &settings);
        Ok(spawn_blocking(check).await.expect("a check does not panic"))
    };
    let (in_sql, in_memory) = tokio::try_join!(predicates::check(session), in_memory)?;
    let mut verdict = in_memory;
    verdict.predicates.splice(0..0, in_sql);
    verdict.gates.push(seen::looking(&verdict.predicates));
    Ok(verdict)
}

/// C11 to C16, and the gates.
fn in_memory(
    history: &History,
    mut stored: Stored,
    scrapes: &[Scrape],
    faults: &[FaultSpan],
    settings: &Settings,
) -> Verdict {
    stored.index();
    let timeline = Timeline::new(history, &stored);
    let order = order::check(&timeline);
    let (replay, model) = replay::check(&timeline, settings.began);
    let answers = answers::check(&timeline, &model, settings.refused_by_database);
    drop(model);
    let reads = reads::check(&timeline);
    let resolved = resolved::check(&timeline);
    let bookkeeping = bookkeeping::check(history, scrapes, faults);
    let predicates: Vec<Predicate> = vec![order, answers, replay, reads, resolved, bookkeeping];
    Verdict { predicates, gates: seen::gates(&settings.gates, &timeline, faults) }
}
