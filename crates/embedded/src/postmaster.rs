//! `postmaster.pid`, by which a running server is known, and what an earlier run left behind.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::data_dir::{DataDir, ignore_missing};
use crate::error::StartError;
use crate::process::{signal, wait_until};

/// How long processes of a killed server get to notice that, and a server to stop at once.
const GRACE: Duration = Duration::from_secs(5);

/// What the server writes into its data directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: Pid,
    pub(crate) ready: bool,
    shared_memory: Option<i64>,
}

impl PidFile {
    /// Reads the file; `None` where it is missing or not yet written in full.
    pub(crate) fn read(pgdata: &Path) -> Option<PidFile> {
        PidFile::parse(&fs::read_to_string(path(pgdata)).ok()?)
    }

    fn parse(text: &str) -> Option<PidFile> {
        let lines: Vec<_> = text.lines().collect();
        let pid = Pid::from_raw(lines.first()?.trim().parse().ok()?)?;
        // Line 7 is the key and the id of the shared memory, line 8 the status.
        let shared_memory = lines.get(6).and_then(|line| line.split_whitespace().nth(1));
        Some(PidFile {
            pid,
            ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
            shared_memory: shared_memory.and_then(|id| id.parse().ok()),
        })
    }

    /// Waits until no process is attached to the server's shared memory, which even a backend
    /// that outlives its postmaster is; says whether that came about.
    pub(crate) fn wait_for_processes(&self) -> bool {
        wait_until(GRACE, || {
            let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
            !self.shared_memory.is_some_and(|id| is_attached(&segments, id))
        })
    }

    /// Whether the process, which may be a later one with the same id, is the server of `pgdata`.
    fn is_server_of(&self, pgdata: &Path) -> bool {
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        let name = fs::read(proc.join("comm")).unwrap_or_default();
        if name.trim_ascii_end() != b"postgres" {
            return false;
        }
        let command_line = fs::read(proc.join("cmdline")).unwrap_or_default();
        command_line.split(|byte| *byte == 0).any(|it| it == pgdata.as_os_str().as_bytes())
            || fs::read_link(proc.join("cwd")).is_ok_and(|dir| dir == pgdata)
    }
}

fn path(pgdata: &Path) -> PathBuf {
    pgdata.join("postmaster.pid")
}

fn is_attached(segments: &str, id: i64) -> bool {
    // Columns: key, shmid, perms, size, cpid, lpid, nattch, ...
    segments.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|columns| {
        columns.get(1).and_then(|shmid| shmid.parse().ok()) == Some(id)
            && columns.get(6).is_some_and(|attached| *attached != "0")
    })
}

/// Ends the server that a dead program may have left behind, and removes its `postmaster.pid`,
/// which keeps a new server from starting when it is empty or its process id is in use again.
pub(crate) fn clear_leftover(data_dir: &DataDir, patience: Duration) -> Result<(), StartError> {
    let pgdata = data_dir.pgdata();
    if let Some(left) = PidFile::read(&pgdata) {
        let pid = left.pid.as_raw_pid().unsigned_abs();
        if !stop(&left, &pgdata, patience).map_err(StartError::io("stop the server of", &pgdata))? {
            return Err(StartError::LeftRunning { data_dir: data_dir.root().to_owned(), pid });
        }
        if !left.wait_for_processes() {
            return Err(StartError::DataInUse { data_dir: data_dir.root().to_owned(), pid });
        }
    }
    let path = path(&pgdata);
    ignore_missing(fs::remove_file(&path)).map_err(StartError::io("remove", &path))
}

/// Stops the server if it runs; says whether it does not run any more.
fn stop(left: &PidFile, pgdata: &Path, patience: Duration) -> io::Result<bool> {
    let gone = || !left.is_server_of(pgdata);
    for (how, limit) in [(Signal::INT, patience), (Signal::QUIT, GRACE)] {
        if gone() {
            return Ok(true);
        }
        signal(left.pid, how)?;
        if wait_until(limit, gone) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_pid_file() {
        let starting = "42\n/data/pg\n1700000000\n5433\n/data/socket\n127.0.0.1\n";
        let expected = |ready, shared_memory| {
            let pid = Pid::from_raw(42).unwrap();
            Some(PidFile { pid, ready, shared_memory })
        };
        assert_eq!(PidFile::parse(starting), expected(false, None));
        let memory = format!("{starting}  10010672         4\nstarting\n");
        assert_eq!(PidFile::parse(&memory), expected(false, Some(4)));
        let ready = memory.replace("starting", "ready   ");
        assert_eq!(PidFile::parse(&ready), expected(true, Some(4)));
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn knows_attached_memory() {
        let segments = "       key      shmid perms  size  cpid  lpid nattch   uid\n\
                          10010672          4   600    56  3269  3393      6   101\n\
                          10010673          5   600    56  3269  3393      0   101\n";
        assert!(is_attached(segments, 4));
        assert!(!is_attached(segments, 5));
        assert!(!is_attached(segments, 6));
    }
}
