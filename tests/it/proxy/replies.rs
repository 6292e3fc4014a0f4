//! Replies that are not what PostgreSQL said.

use super::{Behind, TARGET};
use giro_tests::{Fault, Proxy};

#[tokio::test]
async fn a_garbled_row_differs_in_one_byte_and_in_nothing_else() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    for fault in [Fault::GarbleReply, Fault::GarbleAnywhere] {
        behind.proxy.arm(fault);
        let [said] = lane.mark(7).await.unwrap()[..] else { panic!("one row") };
        let differ = (said ^ 7).to_be_bytes().iter().filter(|byte| **byte != 0).count();
        assert_eq!(differ, 1, "{fault:?}: {said}");
        assert_eq!(behind.proxy.fired(fault), 1);
        assert_eq!(lane.mark(8).await.unwrap(), [8], "the next is whole");
    }
    behind.has_marks(4).await;
}

#[tokio::test]
async fn a_shifted_reply_is_that_of_the_call_before() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.arm(Fault::ShiftReply);
    assert_eq!(lane.mark(1).await.unwrap(), [1], "there is none before");
    assert_eq!(behind.proxy.fired(Fault::ShiftReply), 0);
    lane.client.query("SELECT 5", &[]).await.unwrap();
    assert_eq!(lane.mark(2).await.unwrap(), [1]);
    assert_eq!(behind.proxy.fired(Fault::ShiftReply), 1);
    assert_eq!(lane.mark(3).await.unwrap(), [3]);
}

#[tokio::test]
async fn a_deferred_reply_comes_to_the_call_behind() {
    let behind = Behind::new().await;
    let lane = behind.marker("lane").await;
    behind.proxy.arm(Fault::DeferReply);
    assert_eq!(lane.mark(1).await.unwrap(), [] as [i64; 0]);
    assert_eq!(behind.proxy.fired(Fault::DeferReply), 1);
    assert_eq!(lane.mark(2).await.unwrap(), [1]);
    assert_eq!(lane.mark(3).await.unwrap(), [3]);
}

#[tokio::test]
async fn faults_at_random_are_the_same_again_with_the_same_seed() {
    const CALLS: i64 = 40;
    let mut behind = Behind::new().await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        behind.proxy = Proxy::start(&behind.database.owner_url, TARGET).await;
        behind.proxy.seed(7);
        behind.proxy.at_random(Fault::GarbleReply, 0.5);
        let mut events = behind.proxy.events();
        let lane = behind.marker("lane").await;
        let mut said = Vec::new();
        for mark in 0..CALLS {
            said.extend(lane.mark(mark).await.unwrap());
        }
        let garbled = said.iter().zip(0..).filter(|(said, mark)| **said != *mark).count() as u64;
        assert!((1..CALLS as u64).contains(&garbled), "{garbled}");
        assert_eq!(behind.proxy.fired(Fault::GarbleReply), garbled);
        let event = events.try_recv().unwrap();
        assert_eq!((event.fault, &*event.session), (Fault::GarbleReply, "lane"));
        assert_eq!(events.len() as u64, garbled - 1);
        runs.push(said);
    }
    assert_eq!(runs[0], runs[1]);
}
