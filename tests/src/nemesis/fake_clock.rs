//! A clock that jumps, by libfaketime.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;
use tempfile::TempDir;

/// The wall clock of the processes that are started with its environment. Their monotonic clock is the
/// machine's, as it is when an operator or NTP sets the time.
pub struct FakeClock {
    directory: TempDir,
    preloaded: PathBuf,
}

impl FakeClock {
    /// One that says what time it is.
    pub fn new() -> Self {
        // PostgreSQL reads it as another user.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let directory = tempfile::Builder::new().permissions(everybody).tempdir();
        let preloaded = Self::library().expect("libfaketime");
        let clock = Self { directory: directory.expect("a temporary directory"), preloaded };
        clock.shift(0);
        clock
    }

    /// The library, where it is installed.
    pub fn library() -> Option<PathBuf> {
        let directories = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
        let places = directories.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
        let mut libraries = places.map(|path| path.join("faketime/libfaketimeMT.so.1"));
        libraries.find(|library| library.exists())
    }

    /// What makes a process read this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let preloaded = self.preloaded.display().to_string();
        let file = self.file().display().to_string();
        [
            ("LD_PRELOAD", preloaded.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Sets it so many seconds before or after the machine's clock, at once for all its processes.
    pub fn shift(&self, seconds: i64) {
        let new = self.directory.path().join("new");
        let written =
            fs::write(&new, format!("{seconds:+}")).and_then(|()| fs::rename(&new, self.file()));
        written.expect("the clock is set");
    }

    /// How many seconds it is before or after the machine's, as a program says that reads it.
    pub fn off(&self) -> i64 {
        let date = Command::new("date").arg("+%s").envs(self.environment()).output().expect("date");
        let said = String::from_utf8_lossy(&date.stdout).trim().parse::<i64>();
        said.expect("a time") - seconds_since_1970()
    }

    /// Whether a process was started with its environment, and reads it.
    pub fn is_read_by(&self, process: u32) -> bool {
        let read = |file: &str| fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        let has = |file: &str, text: &str| String::from_utf8_lossy(&read(file)).contains(text);
        has("maps", "libfaketime") && has("environ", &self.file().display().to_string())
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a time after 1970").as_secs() as i64
}
