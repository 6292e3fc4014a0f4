//! A process that may open no more files.

use super::wire::{Socket, gauge};
use giro_tests::{ServerProcess, TestDatabase, eventually};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;
use std::time::Duration;

/// Processor time that a process has used.
fn used(server: &ServerProcess) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("ticks");
    Duration::from_secs_f64(
        (ticks(11) + ticks(12)) as f64 / rustix::param::clock_ticks_per_second() as f64,
    )
}

#[tokio::test]
async fn a_server_without_descriptors_waits_for_one() {
    let database = TestDatabase::new().await;
    let url = [("DATABASE_URL", database.server_url.as_str())];
    let program = env!("CARGO_BIN_EXE_giro-under-test");
    let server = ServerProcess::run(program, &["serve"], &url).await;
    let pid = Pid::from_raw(server.id() as i32);
    let few = Rlimit { current: Some(64), maximum: getrlimit(Resource::Nofile).maximum };
    let many = prlimit(pid, Resource::Nofile, few).unwrap();
    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(Socket::open(server.client.address()).await);
    }
    let failures = || server.log.lock().unwrap().matches("could not be accepted").count();
    eventually("descriptors have run out", async || failures() > 0).await;
    let (before, told) = (used(&server), failures());
    eventually("it goes on trying", async || failures() >= told + 10).await;
    let busy = used(&server) - before;
    assert!(busy < Duration::from_millis(500), "{busy:?} for about a second of waiting");
    prlimit(pid, Resource::Nofile, many).unwrap();
    let reply = server.client.post("/account", &json!({"id": 1})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    eventually("all were accepted in the end", async || {
        gauge(&server, "giro_http_connections").await >= 100.0
    })
    .await;
}
