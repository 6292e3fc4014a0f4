//! The server as a child process: started, waited for, stopped.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::binaries::Binaries;
use crate::data_dir::DataDir;
use crate::error::{StartError, StopError};
use crate::log::tail;
use crate::parent_death::interrupt_with_parent;
use crate::postmaster::PidFile;
use crate::privileges::run_as;
use crate::process::{children, signal, wait_until};

/// How long an immediate shutdown may take.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(5);

/// A command to be run as the server's user in the data directory, its output going to the log;
/// and how long the log is already.
pub(crate) fn command(program: &Path, data_dir: &DataDir) -> Result<(Command, u64), StartError> {
    if let (Some(user), Some(dir)) = (data_dir.user(), program.parent()) {
        user.check_can_enter(dir)?;
    }
    let (log, logged) = data_dir.open_log()?;
    let stdout = log.try_clone().map_err(StartError::io("open", &data_dir.log()))?;
    let mut command = Command::new(program);
    command.current_dir(data_dir.root()).process_group(0);
    command.stdin(Stdio::null()).stdout(stdout).stderr(log);
    // What a person has set for clients must not reach the server.
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
    run_as(&mut command, data_dir.user());
    interrupt_with_parent(&mut command);
    Ok((command, logged))
}

/// Runs one of PostgreSQL's programs to its end as the server's user; it has to succeed.
pub(crate) fn run_to_end(
    name: &'static str,
    arguments: &[OsString],
    data_dir: &DataDir,
    binaries: &Binaries,
) -> Result<(), StartError> {
    let program = binaries.dir().join(name);
    let (mut command, logged) = command(&program, data_dir)?;
    let status = command.args(arguments).status().map_err(StartError::io("run", &program))?;
    if status.success() {
        return Ok(());
    }
    let log = data_dir.log();
    let tail = tail(&log, logged);
    Err(StartError::Program { name, status, log, tail })
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pgdata: PathBuf,
    log: PathBuf,
    stop_timeout: Duration,
    killed: bool,
    _parent_thread: Sender<()>,
}

impl Server {
    pub(crate) fn spawn(
        command: Command,
        data_dir: &DataDir,
        stop_timeout: Duration,
    ) -> io::Result<Server> {
        let (child, parent_thread) = spawn_from_own_thread(command)?;
        Ok(Server {
            child,
            pgdata: data_dir.pgdata(),
            log: data_dir.log(),
            stop_timeout,
            killed: false,
            _parent_thread: parent_thread,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server takes connections; `logged` is how long the log was before it.
    pub(crate) fn wait_ready(&mut self, limit: Duration, logged: u64) -> Result<(), StartError> {
        let pid = Pid::from_child(&self.child);
        let mut exited = Ok(None);
        let settled = wait_until(limit, || {
            exited = self.child.try_wait();
            let ready = || PidFile::read(&self.pgdata).is_some_and(|it| it.pid == pid && it.ready);
            !matches!(exited, Ok(None)) || ready()
        });
        let exited = exited.map_err(StartError::io("wait for the server of", &self.pgdata))?;
        let log = self.log.clone();
        let tail = || tail(&log, logged);
        match (exited, settled) {
            (Some(status), _) => Err(StartError::Exited { status, tail: tail(), log }),
            (None, false) => Err(StartError::TimedOut { waited: limit, tail: tail(), log }),
            (None, true) => Ok(()),
        }
    }

    /// Whether the server has ended, by itself or killed.
    pub(crate) fn has_exited(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops the server: in order, or else without a checkpoint, or else by force.
    pub(crate) fn stop(&mut self) -> Result<(), StopError> {
        if self.killed {
            return Ok(());
        }
        let (pid, waited, log) = (self.pid(), self.stop_timeout, self.log.clone());
        let refused = |source| StopError::Io { pid, source };
        if let Some(status) = self.child.try_wait().map_err(refused)? {
            return Err(StopError::Exited { status, log });
        }
        self.thaw().map_err(refused)?;
        match self.signal_and_wait(Signal::INT, waited).map_err(refused)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(StopError::Exited { status, log }),
            None => {}
        }
        let quit = self.signal_and_wait(Signal::QUIT, IMMEDIATE_LIMIT);
        let signal = if quit.map_err(refused)?.is_some() {
            "SIGQUIT"
        } else {
            self.kill()?;
            "SIGKILL"
        };
        Err(StopError::Forced { waited, signal, log })
    }

    fn signal_and_wait(&mut self, how: Signal, limit: Duration) -> io::Result<Option<ExitStatus>> {
        signal(Pid::from_child(&self.child), how)?;
        let mut exited = Ok(None);
        wait_until(limit, || {
            exited = self.child.try_wait();
            !matches!(exited, Ok(None))
        });
        exited
    }

    /// Halts every process of the server.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        let pid = Pid::from_child(&self.child);
        // Halted, it neither starts nor reaps processes, so the list of them stays true.
        signal(pid, Signal::STOP)?;
        let halted = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), halted)?;
        children(pid).into_iter().try_for_each(|child| signal(child, Signal::STOP))
    }

    /// Lets every process of the server go on.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        let pid = Pid::from_child(&self.child);
        children(pid).into_iter().try_for_each(|child| signal(child, Signal::CONT))?;
        signal(pid, Signal::CONT)
    }

    /// Kills the server and all its processes, and waits until none can touch the data.
    pub(crate) fn kill(&mut self) -> Result<(), StopError> {
        let pid = self.pid();
        self.kill_all().map_err(|source| StopError::Io { pid, source })
    }

    fn kill_all(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&self.child);
        self.freeze()?;
        for child in children(pid) {
            signal(child, Signal::KILL)?;
        }
        self.child.kill()?;
        self.child.wait()?;
        self.killed = true;
        if let Some(left) = PidFile::read(&self.pgdata) {
            left.wait_for_processes();
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Spawns from a thread that lives until the sender is dropped: the server is told to shut down
/// when the thread that spawned it ends, and the caller's may end at any time.
fn spawn_from_own_thread(mut command: Command) -> io::Result<(Child, Sender<()>)> {
    let (hold, held) = mpsc::channel::<()>();
    let (give, spawned) = mpsc::channel();
    thread::Builder::new().name("postgres-parent".to_owned()).spawn(move || {
        let _ = give.send(command.spawn());
        drop(command);
        let _ = held.recv();
    })?;
    let child = spawned.recv().map_err(|_| io::Error::other("the spawning thread ended"))??;
    Ok((child, hold))
}
