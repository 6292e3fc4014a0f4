//! Keeps two runs out of one directory.

use std::fs::{self, File, TryLockError};
use std::path::Path;

/// The file that is locked.
pub(super) const FILE: &str = "lock";

/// Held by the run that writes to a directory.
pub(super) struct Lock(File);

impl Lock {
    /// Makes the directory if there is none. It is refused while another has it.
    pub(super) fn take(directory: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join(FILE);
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(format!("{}: another run writes there", directory.display()))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child forked by another thread has the file open until it execs.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_runs_until_it_is_over() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        let first = Lock::take(&directory).unwrap();
        assert!(Lock::take(&directory).err().unwrap().contains("another run"));
        drop(first);
        assert!(Lock::take(&directory).is_ok());
    }
}
