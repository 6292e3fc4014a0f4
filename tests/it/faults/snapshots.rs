//! What holds vacuum back, and vacuum: both only make it slower.

use super::private;
use giro_tests::eventually;
use giro_tests::load::{Load, Plan, Told};
use giro_tests::nemesis::snapshot::{Freezing, OldSnapshot, frozen_up_to};

const AGE: &str = "giro_db_oldest_snapshot_seconds";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_is_seen_and_forgotten_when_it_is_gone() {
    let (_cluster, server) = private().await;
    let dead = async || {
        let vacuum = server.database.superuser().await;
        vacuum.batch_execute("VACUUM giro.account_state").await.unwrap();
        let dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'account_state'";
        server.database.number(dead).await
    };
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    let snapshot = OldSnapshot::take(&server.database).await;
    eventually("its age is seen", async || server.metric(AGE).await >= 3.0).await;
    load.decides(50).await;
    let age = snapshot.age(&server.database).await;
    println!("held while {age} transactions began");
    assert!(age > 20, "{age}");
    let kept = dead().await;
    assert!(kept > 50, "{kept} dead rows are kept");
    drop(snapshot);
    eventually("it is over", async || server.metric(AGE).await <= 1.0).await;
    load.decides(50).await;
    let (history, _) = load.assert_truth(&server.database, server.client).await;
    assert_eq!(history.count(|told| *told == Told::Unknown), 0, "slow is not lost");
    // Statistics come a little later.
    eventually("the dead rows are gone", async || dead().await < kept / 2).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freezing_every_table_only_makes_it_slower() {
    let (_cluster, server) = private().await;
    let load = Load::start(server.client, Plan::patient(20)).await;
    load.decides(50).await;
    let now = server.database.number("SELECT txid_current()").await;
    let freezing = Freezing::start(&server.database).await;
    eventually("all rows of before are frozen", async || {
        frozen_up_to(&server.database).await > now
    })
    .await;
    load.decides(200).await;
    let rounds = freezing.stop().await;
    println!("{rounds} rounds, frozen from {now} up to {}", frozen_up_to(&server.database).await);
    let (history, settled) = load.assert_truth(&server.database, server.client).await;
    let decided = settled.applied + settled.rejected;
    assert_eq!(history.answers.len(), decided, "{:?}", history.shed());
    server.stop().await;
}
