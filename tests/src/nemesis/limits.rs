//! Limits of memory, processor and descriptors.

use super::{Cgroup, Controller, Wound};
use crate::chaos::witness::PATIENCE;
use crate::chaos::{Stage, StageServer};
use fastrand::Rng;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// More than a server needs beside what it has at rest, at any load: see "Figures" of docs/reliability.md.
const MEMORY: u64 = 96 << 20;

/// The limit of a process's descriptors, which is as it was when this is dropped.
pub struct Descriptors {
    process: u32,
    before: Rlimit,
}

impl Descriptors {
    /// Lets a process open only so many more than it has open.
    pub fn squeeze(process: u32, more: u64) -> Self {
        let open = fs::read_dir(format!("/proc/{process}/fd")).expect("its descriptors").count();
        let before =
            limit(process, |before| Rlimit { current: Some(open as u64 + more), ..before });
        Self { process, before }
    }

    /// The limit, as the system has it.
    pub fn evidence(&self) -> String {
        let limits =
            fs::read_to_string(format!("/proc/{}/limits", self.process)).expect("its limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        line.expect("a limit").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // Gone is as good.
        let _ = prlimit(Pid::from_raw(self.process as i32), Resource::Nofile, self.before);
    }
}

/// Changes the limit of a process's descriptors, and returns what it was.
fn limit(process: u32, change: impl FnOnce(Rlimit) -> Rlimit) -> Rlimit {
    let pid = Pid::from_raw(process as i32);
    // There is no call to read another's limit without setting one.
    let own = rustix::process::getrlimit(Resource::Nofile);
    prlimit(pid, Resource::Nofile, change(own)).expect("the limit is set")
}

pub(super) async fn squeeze_descriptors(stage: &mut Stage, random: &mut Rng) -> Wound {
    let server = some_server(stage, random);
    let process = server.process.as_ref().expect("it runs");
    let log = server.logs.last().expect("its log").clone();
    let descriptors = Descriptors::squeeze(process.id(), 0);
    let before = refusals(&log);
    let address = process.client.address();
    let crowd = crowded(address, || refusals(&log) > before).await;
    let evidence = format!("{} of server process {}", descriptors.evidence(), process.id());
    Wound::healed_by(move |_| {
        Box::pin(async move {
            drop((descriptors, crowd));
            let refused = refusals(&log) - before;
            format!("{evidence}; {refused} times a connection could not be accepted")
        })
    })
}

/// Connections that want nothing, one more at a time until there are too many.
async fn crowded(address: SocketAddr, is_full: impl Fn() -> bool) -> Vec<TcpStream> {
    let started = Instant::now();
    let mut crowd = Vec::new();
    while !is_full() {
        assert!(started.elapsed() < PATIENCE, "{} connections were accepted", crowd.len());
        crowd.extend(TcpStream::connect(address).await);
        sleep(Duration::from_millis(20)).await;
    }
    crowd
}

/// How often a server has had no descriptor for a connection.
fn refusals(log: &Mutex<String>) -> usize {
    log.lock().expect("a log").matches("a connection could not be accepted").count()
}

pub(super) async fn squeeze_memory(stage: &mut Stage, random: &mut Rng) -> Wound {
    let process = some_server(stage, random).process.as_ref().expect("it runs").id();
    let group = Cgroup::new(Controller::Memory).expect("a control group");
    group.limit(MEMORY);
    group.take(process);
    Wound::healed_by(move |_| {
        Box::pin(async move { format!("server process {process}: {}", group.evidence()) })
    })
}

/// One of the servers that run.
fn some_server<'a>(stage: &'a Stage, random: &mut Rng) -> &'a StageServer {
    let running: Vec<_> = stage.servers.iter().filter(|server| server.process.is_some()).collect();
    running.get(random.usize(0..running.len())).expect("a server runs")
}
