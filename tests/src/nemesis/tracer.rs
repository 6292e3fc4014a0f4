//! System calls of running processes, delayed or failed by strace.

use super::processes::signal;
use crate::eventually;
use rustix::process::Signal;
use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// strace at work. It lets go when this is dropped.
pub struct Tracer {
    strace: Child,
    directory: TempDir,
}

/// Which processes are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Those that are there, and what they start.
    Children,
    /// Only those that are there.
    Nobody,
}

impl Tracer {
    /// Tampers with system calls of processes, as strace's `-e inject=` has it: `fdatasync:error=EIO`. All
    /// of them may have ended by that when this returns.
    pub async fn attach(processes: &[i32], follow: Follow, injection: &str) -> Self {
        let mut tracer = Self::spawn(processes, follow, injection)
            .unwrap_or_else(|error| panic!("strace: {error}"));
        eventually("strace has attached", async || {
            processes.iter().all(|process| tracer.traces(*process))
        })
        .await;
        let ended = tracer.strace.try_wait().expect("strace");
        assert!(ended.is_none_or(|status| status.success()), "strace has ended: {ended:?}");
        tracer
    }

    fn spawn(processes: &[i32], follow: Follow, injection: &str) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let calls = injection.split(':').next().unwrap_or_default();
        let mut command = Command::new("strace");
        command.args(["-qq", "-e", "signal=none"]);
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={injection}")]);
        command.arg("-o").arg(directory.path().join("calls"));
        if follow == Follow::Children {
            command.arg("-f");
        }
        for process in processes {
            command.args(["-p", &process.to_string()]);
        }
        let strace = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { strace, directory })
    }

    /// The calls that were tampered with, as strace wrote them.
    pub fn tampered(&self) -> Vec<String> {
        let said = fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default();
        let tampered = |line: &&str| line.contains("(INJECTED)") || line.contains("(DELAYED)");
        said.lines().filter(tampered).map(str::to_owned).collect()
    }

    /// Whether a process is traced by this one, or gone.
    pub fn traces(&self, process: i32) -> bool {
        tracer_of(process).is_none_or(|tracer| tracer == self.strace.id())
    }

    /// Lets go of the processes, and says what was tampered with.
    pub fn detach(mut self) -> Vec<String> {
        self.end();
        self.tampered()
    }

    fn end(&mut self) {
        if let Ok(None) = self.strace.try_wait() {
            signal(self.strace.id() as i32, Signal::TERM);
        }
        let _ = self.strace.wait();
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether strace can attach to a process that it has not started.
pub fn available() -> io::Result<()> {
    let mut other = Command::new("sleep").arg("60").spawn()?;
    let process = other.id() as i32;
    let attached =
        Tracer::spawn(&[process], Follow::Nobody, "fsync:error=EIO").and_then(|mut tracer| {
            let deadline = Instant::now() + Duration::from_secs(10);
            while tracer_of(process) != Some(tracer.strace.id()) {
                if let Some(status) = tracer.strace.try_wait()? {
                    return Err(io::Error::other(format!("it ends with {status}")));
                }
                if Instant::now() > deadline {
                    return Err(io::Error::other("it does not attach"));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        });
    let _ = other.kill();
    let _ = other.wait();
    attached
}

/// Who traces a process: 0 is nobody. Nothing if the process is gone.
fn tracer_of(process: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    tracer.trim().parse().ok()
}
