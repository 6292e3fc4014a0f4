use crate::{TestDatabase, eventually};
use rustix::process::{Pid, Signal, kill_process};

/// A process that SIGSTOP has halted: its connections stay open and nothing answers. It goes on when
/// this is dropped.
pub struct Halted(Pid);

impl Halted {
    /// Halts a process.
    pub fn new(process: i32) -> Self {
        signal(process, Signal::STOP);
        Self(pid(process))
    }

    /// Halts a process, unless it is gone.
    pub fn try_new(process: i32) -> Option<Self> {
        try_signal(process, Signal::STOP).then(|| Self(pid(process)))
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT); // gone is as good
    }
}

/// Ends a process as a crash of it would.
pub fn kill(process: i32) {
    signal(process, Signal::KILL);
}

/// Whether SIGSTOP has halted a process, as the system shows it.
pub fn is_halted(process: u32) -> bool {
    state(process) == Some('T')
}

/// What the system says that a process does: `R`, `S`, `D`, `Z` or `T`; nothing if it is gone.
pub(super) fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The query for a backend that applies a batch of transfers and meets a condition on `pg_stat_activity`.
pub(super) fn find_applying(condition: &str) -> String {
    format!(
        "SELECT pid FROM pg_stat_activity
          WHERE datname = current_database() AND application_name LIKE 'giro lane%'
            AND state = 'active' AND query LIKE '%apply_transfers%' AND ({condition})
          LIMIT 1"
    )
}

/// Waits for a backend that applies a batch of transfers and meets a condition on `pg_stat_activity`;
/// its process id.
pub async fn applying(database: &TestDatabase, condition: &str) -> i32 {
    let session = database.superuser().await;
    let found = find_applying(condition);
    let process = std::cell::Cell::new(None);
    eventually(condition, async || {
        let row = session.query_opt(&found, &[]).await.expect("a look at the sessions");
        process.set(row.map(|row| row.get(0)));
        process.get().is_some()
    })
    .await;
    process.get().expect("a backend")
}

pub(super) fn signal(process: i32, signal: Signal) {
    kill_process(pid(process), signal).expect("the signal is sent");
}

/// Whether the process was there to get the signal.
pub(super) fn try_signal(process: i32, signal: Signal) -> bool {
    kill_process(pid(process), signal).is_ok()
}

fn pid(process: i32) -> Pid {
    Pid::from_raw(process).expect("a process id")
}

/// The children of a process, as far as the system shows them.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("the processes").flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(|process| parent_of(*process) == Some(parent)).collect()
}

fn parent_of(process: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // "pid (name) state parent ...", and the name may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
