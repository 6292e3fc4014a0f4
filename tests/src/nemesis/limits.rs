//! Limits of memory, processor and descriptors.

use super::{Cgroup, Controller, Wound};
use crate::chaos::Stage;
use fastrand::Rng;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;

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
    let process = some_server(stage, random);
    let descriptors = Descriptors::squeeze(process, 0);
    let evidence = format!("{} of server process {process}", descriptors.evidence());
    Wound::healed_by(|_| {
        Box::pin(async move {
            drop(descriptors);
            evidence
        })
    })
}

pub(super) async fn squeeze_memory(stage: &mut Stage, random: &mut Rng) -> Wound {
    let process = some_server(stage, random);
    let group = Cgroup::new(Controller::Memory).expect("a control group");
    group.limit(MEMORY);
    group.take(process);
    Wound::healed_by(move |_| {
        Box::pin(async move { format!("server process {process}: {}", group.evidence()) })
    })
}

/// The process of one of the servers that run.
fn some_server(stage: &Stage, random: &mut Rng) -> u32 {
    let running: Vec<u32> =
        stage.servers.iter().filter_map(|server| Some(server.process.as_ref()?.id())).collect();
    *running.get(random.usize(0..running.len())).expect("a server runs")
}
