use super::open_loop::{Arrivals, Load};
use super::report::Figure;
use super::stage::{Plan, Stage, audit, until_true};
use crate::Pair;
use crate::standby::Replication;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::sleep;

const RATE: f64 = 300.0;

/// A primary that is lost, and its synchronous standby in its place.
pub(super) async fn promotion(plan: &Plan) -> Figure {
    let mut pair = Pair::start(Replication::Synchronous).await;
    let stage = Stage::of(plan, pair.database().await, &[]).await;
    let address = stage.server.client.address();
    let load = Load::new(address, Arrivals::Constant(RATE), Duration::from_secs(15)).start();
    sleep(Duration::from_secs(3)).await;
    tokio::task::block_in_place(|| pair.primary.kill());
    sleep(Duration::from_secs(1)).await;
    let url = pair.standby.url("postgres", "giro");
    let writable = tokio::spawn(until_true(url, "SELECT NOT pg_is_in_recovery()"));
    tokio::task::block_in_place(|| pair.standby.promote()).expect("the standby is promoted");
    let writable = writable.await.expect("it takes writes");
    let answers = load.end().await;

    let writable = answers.at(writable);
    let applied = answers.first_applied_after(writable).map(|at| at - writable);
    let stored = stored(&stage).await;
    let acknowledged: Vec<_> = answers.all.iter().filter(|answer| answer.is_applied()).collect();
    let lost = acknowledged.iter().filter(|answer| !stored.contains(&answer.id)).count();
    let mut figure = Figure::default();
    let what = "first 200 after the promotion";
    figure.within(what, applied, Duration::from_secs(2));
    figure.at_most("acknowledged and lost", lost as f64, 0.0, "");
    let audit = audit(&stage.database).await;
    figure.row("audit afterwards", "clean".into(), audit.to_string(), audit["clean"] == true);
    figure.note(format!(
        "{RATE} requests a second; the primary is killed by SIGKILL, its synchronous standby promoted 1 s \
         later; both are in the URL, the dead one first; the promotion is over when \
         pg_is_in_recovery() is false"
    ));
    figure.raw = json!({
        "first_applied_seconds": applied.map(|time| time.as_secs_f64()),
        "acknowledged": acknowledged.len(),
        "stored": stored.len(),
        "lost": lost,
        "answers": answers.counts(),
    });
    figure
}

/// Ids of all transfers that the database has.
async fn stored(stage: &Stage) -> HashSet<u64> {
    let session = stage.database.superuser().await;
    let ids = "SELECT id::text FROM giro.transfers";
    let rows = session.query(ids, &[]).await.expect(ids);
    let id = |row: &tokio_postgres::Row| {
        let text = row.get::<_, String>(0).replace('-', "");
        u128::from_str_radix(&text, 16).expect("an id") as u64
    };
    rows.iter().map(id).collect()
}
