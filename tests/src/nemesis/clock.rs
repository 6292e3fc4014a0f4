//! Clocks that jump.

use super::fake_clock::seconds_since_1970;
use super::{FakeClock, Wound};
use crate::chaos::Stage;
use crate::cluster::TestCluster;
use crate::database::connect;
use fastrand::Rng;

const HOUR: i64 = 3_600;
/// What a look may be off by, in seconds.
const BLUR: i64 = 60;

/// Sets PostgreSQL's clock so many seconds off and waits until it says so.
pub async fn shift_of_postgres(cluster: &TestCluster, seconds: i64) -> String {
    cluster.around().clock.as_ref().expect("the cluster has a clock of its own").shift(seconds);
    let session = connect(&cluster.url("postgres", "postgres")).await;
    let now = "SELECT extract(epoch FROM clock_timestamp())::bigint";
    let off: i64 =
        session.query_one(now, &[]).await.expect(now).get::<_, i64>(0) - seconds_since_1970();
    assert!((off - seconds).abs() < BLUR, "PostgreSQL is {off} s off instead of {seconds}");
    format!("clock_timestamp() of PostgreSQL was {off} s off")
}

/// Sets a clock that a process reads so many seconds off, and says what shows it.
pub fn shift_of_process(clock: &FakeClock, process: u32, seconds: i64) -> String {
    clock.shift(seconds);
    assert!(clock.is_read_by(process), "process {process} reads another clock");
    let off = clock.off();
    assert!((off - seconds).abs() < BLUR, "the clock is {off} s off instead of {seconds}");
    format!("the clock of server process {process} was {off} s off")
}

pub(super) async fn shift(stage: &mut Stage, random: &mut Rng) -> Wound {
    let seconds = if random.bool() { HOUR } else { -HOUR };
    let of_postgres = stage.clusters[0].around().clock.is_some() && random.bool();
    if of_postgres {
        let evidence = shift_of_postgres(&stage.clusters[0], seconds).await;
        return Wound::healed_by(|stage| {
            Box::pin(async move {
                stage.clusters[0].around().clock.as_ref().expect("its clock").shift(0);
                evidence
            })
        });
    }
    let number = random.usize(0..stage.servers.len());
    let server = &stage.servers[number];
    let process = server.process.as_ref().unwrap_or_else(|| panic!("server {number} is down")).id();
    let clock = server.clock.as_ref().expect("the stage has clocks");
    let evidence = shift_of_process(clock, process, seconds);
    Wound::healed_by(move |stage| {
        Box::pin(async move {
            stage.servers[number].clock.as_ref().expect("its clock").shift(0);
            evidence
        })
    })
}
