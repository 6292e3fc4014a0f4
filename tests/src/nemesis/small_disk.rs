//! A disk of a test's own that can be full.

use rustix::fs::statvfs;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// Begins the names of their directories; the process follows.
const PREFIX: &str = "giro-disk-";

/// A tmpfs, which is unmounted when this is dropped.
pub struct SmallDisk {
    directory: TempDir,
    bytes: u64,
}

impl SmallDisk {
    /// Mounts an empty one, of so many bytes; memory is only taken by what is stored.
    pub fn new(bytes: u64) -> io::Result<Self> {
        unmount_leftovers();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir()?;
        let options = format!("size={bytes},mode=0700\0");
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).expect("one NUL");
        mount("giro", directory.path(), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options)?;
        Ok(Self { directory, bytes })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Takes all room that is left, and shows it by the refusal to store one more byte.
    pub fn fill(&self) -> String {
        // What is stored meanwhile makes the new size too small.
        let refused = (0..1_000).find_map(|_| {
            let _ = self.resize(self.used());
            self.store_more().err().filter(|error| error.kind() == io::ErrorKind::StorageFull)
        });
        let error = refused.expect("the disk is full");
        format!("{} bytes of {} are taken: {error}", self.used(), self.bytes)
    }

    /// Gives the room back.
    pub fn free(&self) {
        self.resize(self.bytes).unwrap_or_else(|error| panic!("{:?}: {error}", self.path()));
    }

    fn resize(&self, bytes: u64) -> io::Result<()> {
        let options = format!("size={bytes}");
        Ok(mount_remount(self.path(), MountFlags::NOSUID | MountFlags::NODEV, options)?)
    }

    fn used(&self) -> u64 {
        let disk = statvfs(self.path()).expect("the disk is mounted");
        (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    }

    fn store_more(&self) -> io::Result<()> {
        let path = self.path().join("one-more");
        let stored = File::create(&path).and_then(|mut file| file.write_all(b"x"));
        let _ = fs::remove_file(path);
        stored
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}

/// Unmounts what a process that was killed has left mounted.
fn unmount_leftovers() {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    for path in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        let owner = path.rsplit('/').next().and_then(|name| name.strip_prefix(PREFIX));
        let owner = owner.and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = unmount(path, UnmountFlags::DETACH);
            let _ = fs::remove_dir(path);
        }
    }
}

/// Gives a directory to whoever owns another.
pub fn give_to_owner_of(other: &Path, directory: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = fs::metadata(other).expect("its owner");
    chown(directory, Some(owner.uid()), Some(owner.gid())).expect("another owner");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("its rights");
}
