//! What was acknowledged, and is not on the standby that becomes the primary.

use super::findings::untruths;
use super::subject::{Subject, post, post_within, transfer};
use giro_tests::nemesis::applying;
use giro_tests::standby::{Pair, Replication};
use std::time::Duration;

/// The standby is away, a commit waits for it, and somebody ends that wait. Then the primary is lost.
pub(super) async fn a_promotion_after_a_cancelled_wait(subject: Subject) -> Vec<String> {
    const WAITS: &str = "wait_event = 'SyncRep'";
    let mut pair = Pair::start(Replication::Synchronous).await;
    let database = subject.on(pair.database().await).await;
    // Two, so that the second send has a session that needs no commit to be opened.
    let server = subject.server(&database, &[("GIRO__DATABASE__LANES", "2")]).await;
    let mut told = vec![post(server.client, transfer(1, 1, 2, 1)).await];
    pair.standby.kill();
    let deadline = Duration::from_secs(3);
    let sent = tokio::spawn(post_within(server.client, deadline, transfer(2, 1, 2, 1)));
    let backend = applying(&database, WAITS).await;
    let dba = database.superuser().await;
    dba.query_one("SELECT pg_cancel_backend($1)", &[&backend]).await.expect("it is cancelled");
    told.push(sent.await.expect("what was told"));
    pair.primary.kill();
    pair.standby.start_again();
    pair.standby.promote().expect("the standby is promoted");
    untruths(&database, &told).await
}
