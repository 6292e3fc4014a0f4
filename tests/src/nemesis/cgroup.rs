//! Limits of a process's memory or processor, by a control group of either version.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Memory, in bytes. A process that needs more is killed.
    Memory,
    /// Time on one processor, in percent. A process that needs more waits.
    Processor,
}

/// A control group of a test's own; its processes go back where they came from when this is dropped.
pub struct Cgroup {
    path: PathBuf,
    /// Where this process is.
    home: PathBuf,
    controller: Controller,
    /// Version 2 has other names.
    unified: bool,
}

impl Cgroup {
    /// Makes one.
    pub fn new(controller: Controller) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = match controller {
            Controller::Memory => "memory",
            Controller::Processor => "cpu",
        };
        let Place { parent, home, unified } = Place::find(name)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("giro-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self { path, home, controller, unified };
        let limit = group.limit_file();
        match group.path.join(limit).exists() {
            true => Ok(group),
            false => Err(io::Error::other(format!("{} has no {limit}", group.path.display()))),
        }
    }

    /// Limits what is in it: bytes, or percent of one processor.
    pub fn limit(&self, to: u64) {
        const PERIOD: u64 = 100_000; // the usual one, in microseconds
        let limit = match (self.controller, self.unified) {
            (Controller::Memory, _) => to.to_string(),
            (Controller::Processor, false) => (PERIOD * to / 100).to_string(),
            (Controller::Processor, true) => format!("{} {PERIOD}", PERIOD * to / 100),
        };
        self.write(self.limit_file(), &limit);
    }

    /// Puts a process into it. What the process has in memory already still counts where it came from.
    pub fn take(&self, process: u32) {
        self.write("cgroup.procs", &process.to_string());
    }

    /// The limit and what was used of it, as the system counts.
    pub fn evidence(&self) -> String {
        let files: &[&str] = match (self.controller, self.unified) {
            (Controller::Memory, false) => {
                &["memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.failcnt"]
            }
            (Controller::Memory, true) => &["memory.max", "memory.peak", "memory.events"],
            (Controller::Processor, false) => &["cpu.cfs_quota_us", "cpu.stat"],
            (Controller::Processor, true) => &["cpu.max", "cpu.stat"],
        };
        let read = |file: &&str| {
            let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
            format!("{file} {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        files.iter().map(read).collect::<Vec<_>>().join(", ")
    }

    /// The most memory that has been in use, in bytes.
    pub fn most(&self) -> u64 {
        let file = if self.unified { "memory.peak" } else { "memory.max_usage_in_bytes" };
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// How often it has met its limit.
    pub fn met(&self) -> u64 {
        let (file, name) = match (self.controller, self.unified) {
            (Controller::Memory, false) => ("memory.failcnt", ""),
            (Controller::Memory, true) => ("memory.events", "max "),
            (Controller::Processor, _) => ("cpu.stat", "nr_throttled "),
        };
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix(name));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn limit_file(&self) -> &'static str {
        match (self.controller, self.unified) {
            (Controller::Memory, false) => "memory.limit_in_bytes",
            (Controller::Memory, true) => "memory.max",
            (Controller::Processor, false) => "cpu.cfs_quota_us",
            (Controller::Processor, true) => "cpu.max",
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path.join(file);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let inside = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        for process in inside.lines() {
            let _ = fs::write(self.home.join("cgroup.procs"), process);
        }
        let _ = fs::remove_dir(&self.path);
    }
}

/// Where a group can be made.
struct Place {
    parent: PathBuf,
    /// The group of this process.
    home: PathBuf,
    unified: bool,
}

impl Place {
    fn find(controller: &str) -> io::Result<Self> {
        if let (Some(root), Some(own)) = (mounted("cgroup", controller)?, own_path(controller)?) {
            // Within a container the path may be one outside of it.
            let below = root.join(own);
            let home = if below.is_dir() { below } else { root };
            return Ok(Self { parent: home.clone(), home, unified: false });
        }
        let (Some(root), Some(own)) = (mounted("cgroup2", "")?, own_path("")?) else {
            return Err(io::Error::other(format!("there is no controller for {controller}")));
        };
        // Of version 2, only the first group may have both processes and groups that are limited. Where it
        // refuses, the new group has no limits, which is noticed.
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        Ok(Self { home: root.join(own), parent: root, unified: true })
    }
}

/// Where a kind of file system with an option is mounted.
fn mounted(kind: &str, option: &str) -> io::Result<Option<PathBuf>> {
    // "device directory type options ..."
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let has_option = |options: &str| option.is_empty() || options.split(',').any(|it| it == option);
    let found = mounts.find(|mount| mount[2] == kind && has_option(mount[3]));
    Ok(found.map(|mount| PathBuf::from(mount[1])))
}

/// The path of this process's group for a controller, without the first slash.
fn own_path(controller: &str) -> io::Result<Option<String>> {
    // "number:controllers:path"
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let mut groups = groups.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
    let found = groups.find(|group| group[1].split(',').any(|it| it == controller));
    Ok(found.map(|group| group[2].trim_start_matches('/').to_owned()))
}
