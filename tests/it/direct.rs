//! The array functions on a session of the test's own, without a lane.

use giro_ledger::{ApplyTransfers, ArrayCall, Header, Transfer, Verdict};
use giro_tests::{TestDatabase, eventually};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio_postgres::{Client, Error};

/// Calls an array function once. `fence` is its `not_after`.
pub(crate) async fn call<C: ArrayCall>(
    session: &Client,
    requests: &[Vec<C::Item>],
    fence: Option<SystemTime>,
) -> Result<Vec<Verdict<C::Applied>>, Error> {
    let header =
        Header { shard: 0, token: 7, server: "test".into(), not_after: fence, dry_run: false };
    let columns = C::columns(requests);
    let row = session.query_one(C::STATEMENT, &C::parameters(&header, &columns)).await?;
    Ok(C::verdicts(&row, &header, &columns).expect("the answer to this call"))
}

/// Judges requests of transfers: what was answered to each item, `=` before a replay.
pub(crate) async fn apply(
    session: &Client,
    requests: &[Vec<Transfer>],
) -> Result<Vec<String>, Error> {
    let verdicts = call::<ApplyTransfers>(session, requests, None).await?;
    let answer = |verdict: &Verdict<_>| match verdict {
        Verdict::Applied { replayed, .. } => (*replayed, "applied"),
        Verdict::Rejected { replayed, reason } => (*replayed, reason.name()),
    };
    let answers = verdicts.iter().map(answer);
    Ok(answers.map(|(again, text)| format!("{}{text}", if again { "=" } else { "" })).collect())
}

/// A transfer from its JSON.
pub(crate) fn transfer(json: Value) -> Transfer {
    let input = serde_json::from_str(&json.to_string()).expect("a transfer's fields");
    Transfer::new(input).expect("a transfer")
}

/// The SQLSTATE of a call that failed.
pub(crate) fn sqlstate<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.expect_err("an error");
    error.code().unwrap_or_else(|| panic!("{error}")).code().to_owned()
}

/// Waits until a call of an array function waits for a lock.
pub(crate) async fn until_blocked(database: &TestDatabase) {
    let blocked = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'
                      AND query LIKE '%FROM giro.%'";
    eventually("a call waits for a lock", async || database.number(blocked).await > 0).await;
}

/// Waits until a moment has passed.
pub(crate) async fn until(moment: SystemTime) {
    let left = moment.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(1)).await;
}
