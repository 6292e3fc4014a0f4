//! Ties the life of a child process to its parent's. The only module with unsafe code.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Has the kernel send SIGINT to the child when the *thread* that spawned it ends. To `postgres`,
/// SIGINT is a fast shutdown.
pub(crate) fn interrupt_with_parent(command: &mut Command) {
    let parent = getpid();
    let hook = move || -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::INT))?;
        // A parent that died before this line sends no signal.
        if getppid() != Some(parent) {
            return Err(Errno::SRCH.into());
        }
        Ok(())
    };
    // SAFETY: The hook runs between fork and exec, where other threads may have held locks. It
    // only makes system calls, and neither allocates nor locks. It runs after the change of user,
    // which would clear the signal.
    unsafe { command.pre_exec(hook) };
}
