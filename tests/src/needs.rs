//! What some tests need of the machine beside PostgreSQL, and what happens where it is not there: they say
//! that they are not done, and where `CI` is `true`, they fail.

use crate::compare;
use crate::nemesis::{Cgroup, Controller, FakeClock, SmallDisk, tracer};
use giro_embedded::Binaries;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;

/// Set by `scripts/run-tests`: a file for what was not done, which it shows at the end. The runner hides
/// what a test that passes has printed.
const NOT_DONE: &str = "GIRO_TESTS_NOT_DONE";

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To trace processes of PostgreSQL and tamper with their system calls.
    Strace,
    /// To give a process a clock that jumps.
    Faketime,
    /// To mount a small disk.
    Mounts,
    /// To limit a process's memory.
    MemoryGroup,
    /// To limit a process's share of a processor.
    ProcessorGroup,
    /// To load PostgreSQL as others do.
    Pgbench,
}

impl Need {
    /// What is missing, and what to do about it.
    fn missing(self) -> Option<String> {
        let why = match self {
            Self::Strace => tracer::available().err().map(|error| {
                format!("strace cannot attach to a process ({error}): install it (scripts/setup), be root")
            }),
            Self::Faketime => FakeClock::library()
                .is_none()
                .then(|| "there is no libfaketimeMT.so.1: install libfaketime (scripts/setup)".into()),
            Self::Mounts => SmallDisk::new(1 << 20)
                .err()
                .map(|error| format!("a tmpfs cannot be mounted ({error}): be root")),
            Self::MemoryGroup => no_group(Controller::Memory),
            Self::ProcessorGroup => no_group(Controller::Processor),
            Self::Pgbench => no_pgbench(),
        };
        why.map(|why| format!("{self:?}: {why}"))
    }
}

fn no_group(controller: Controller) -> Option<String> {
    let made = Cgroup::new(controller);
    made.err().map(|error| format!("no control group can be made ({error}): be root"))
}

fn no_pgbench() -> Option<String> {
    let binaries = Binaries::find(None).unwrap_or_else(|error| panic!("{error}"));
    compare::pgbench(&binaries).err()
}

/// What this machine lacks of it.
pub fn missing(needs: &[Need]) -> BTreeSet<String> {
    needs.iter().filter_map(|need| need.missing()).collect()
}

/// Whether this machine has all of it. A test returns where it has not, after this has told that it is not
/// done; in CI it fails.
pub fn met(needs: &[Need]) -> bool {
    let missing = Vec::from_iter(missing(needs)).join("; ");
    if missing.is_empty() {
        return true;
    }
    let thread = std::thread::current();
    let said = format!("NOT DONE: {}: {missing}", thread.name().unwrap_or("a test"));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{said}");
    eprintln!("{said}");
    if let Some(path) = std::env::var_os(NOT_DONE) {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let told = file.and_then(|mut file| file.write_all(format!("{said}\n").as_bytes()));
        told.unwrap_or_else(|error| panic!("{said}; and that could not be noted: {error}"));
    }
    false
}
