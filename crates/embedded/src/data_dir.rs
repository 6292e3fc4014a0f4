//! The layout of a data directory, who owns it, and the lock on it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::StartError;
use crate::privileges::{User, give};
use crate::process::random_hex;

/// The longest path of a Unix socket, in bytes.
const SOCKET_PATH_MAX: usize = 107;

/// A data directory that no other [`Cluster`](crate::Cluster) uses.
#[derive(Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
    user: Option<User>,
    _lock: Lock,
}

impl DataDir {
    /// Makes the directory if need be, gives it to the server's user, and locks it.
    pub(crate) fn open(path: &Path) -> Result<DataDir, StartError> {
        let user = User::for_server(path, &path.join("pg"))?;
        make(path)?;
        let root = fs::canonicalize(path).map_err(StartError::io("find", path))?;
        let mut entries = fs::read_dir(&root).map_err(StartError::io("read", &root))?;
        if entries.next().is_none() {
            give(&root, user.as_ref())?;
        }
        if let Some(user) = &user {
            user.check_can_enter(&root)?;
        }
        let lock = Lock::take(&root, user.as_ref())?;
        Ok(DataDir { root, user, _lock: lock })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    pub(crate) fn pgdata(&self) -> PathBuf {
        self.root.join("pg")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    pub(crate) fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    /// Opens the log to append to it, and says how long it is already.
    pub(crate) fn open_log(&self) -> Result<(File, u64), StartError> {
        let path = self.log();
        let open = || {
            let file = open_private(&path, File::options().create(true).append(true), self.user())?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        open().map_err(StartError::io("open", &path))
    }

    /// An empty directory for the socket, which only the server's user may enter.
    pub(crate) fn socket_dir(&self, port: u16) -> Result<SocketDir, StartError> {
        let inside = self.root.join("socket");
        // A lock file of a server that crashed may name a process id that is in use again.
        ignore_missing(fs::remove_dir_all(&inside)).map_err(StartError::io("empty", &inside))?;
        let socket = inside.join(format!(".s.PGSQL.{port}"));
        let socket = socket.as_os_str().as_bytes();
        // The server and its clients take a comma for the end of the path.
        let temporary = socket.len() > SOCKET_PATH_MAX || socket.contains(&b',');
        let path = if temporary {
            let digits = random_hex().map_err(StartError::io("use", "/dev/urandom".as_ref()))?;
            PathBuf::from(format!("/tmp/giro-{digits}"))
        } else {
            inside
        };
        make_private(&path, self.user())?;
        Ok(SocketDir { path, temporary })
    }
}

/// The directory of the socket; removed with this value where it lies outside the data directory.
#[derive(Debug)]
pub(crate) struct SocketDir {
    path: PathBuf,
    temporary: bool,
}

impl SocketDir {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The lock that tells a server in use from one that a dead program left behind.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn take(root: &Path, user: Option<&User>) -> Result<Lock, StartError> {
        let path = root.join("lock");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file =
            open_private(&path, &mut options, user).map_err(StartError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path).ok().and_then(|pid| pid.trim().parse().ok());
                return Err(StartError::AlreadyRunning { data_dir: root.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(StartError::io("lock", &path)(error)),
        }
        let lock = Lock(file);
        lock.sign().map_err(StartError::io("write", &path))?;
        Ok(lock)
    }

    fn sign(&self) -> io::Result<()> {
        self.0.set_len(0)?;
        (&self.0).write_all(format!("{}\n", std::process::id()).as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child forked by another thread has the file open until it execs.
        let _ = self.0.unlock();
    }
}

fn make(dir: &Path) -> Result<(), StartError> {
    // Those above it with the usual mode: the server's user must be able to enter them.
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(StartError::io("make", parent))?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(StartError::io("make", dir)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a directory, which must not exist, that only the server's user may enter.
pub(crate) fn make_private(dir: &Path, user: Option<&User>) -> Result<(), StartError> {
    let made = DirBuilder::new().mode(0o700).create(dir);
    made.map_err(StartError::io("make", dir))?;
    give(dir, user)
}

/// Opens a file that only the server's user may read. That user could put a symlink in its place,
/// which root must not follow.
pub(crate) fn open_private(
    path: &Path,
    options: &mut OpenOptions,
    user: Option<&User>,
) -> io::Result<File> {
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = options.mode(0o600).custom_flags(no_follow).open(path)?;
    if let Some(user) = user {
        user.own(&file)?;
    }
    Ok(file)
}

/// What was to be removed may be gone already.
pub(crate) fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
