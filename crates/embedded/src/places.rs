//! Where to look for an installed PostgreSQL.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::binaries::output;

/// A place to look at: where the idea comes from, and the directory it gave, if any.
pub(crate) struct Place {
    pub(crate) origin: String,
    pub(crate) dir: Result<PathBuf, String>,
}

impl Place {
    pub(crate) fn new(origin: &str, dir: impl Into<PathBuf>) -> Place {
        Place { origin: origin.to_owned(), dir: Ok(dir.into()) }
    }

    fn missing(origin: &str, reason: impl Into<String>) -> Place {
        Place { origin: origin.to_owned(), dir: Err(reason.into()) }
    }
}

pub(crate) fn pg_config() -> Place {
    let origin = "pg_config --bindir";
    match output(Path::new("pg_config"), "--bindir") {
        Ok(dir) => Place::new(origin, dir.trim_end()),
        Err(reason) => Place::missing(origin, reason),
    }
}

pub(crate) fn in_path(path: &OsStr) -> Vec<Place> {
    let places: Vec<_> = env::split_paths(path)
        .filter(|dir| dir.join("postgres").is_file())
        .map(|dir| Place::new("PATH", dir))
        .collect();
    if places.is_empty() {
        return vec![Place::missing("PATH", "no directory in it holds `postgres`")];
    }
    places
}

pub(crate) fn versioned(parent: &Path) -> Vec<Place> {
    let mut majors: Vec<u32> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    let origin = parent.join("*/bin").display().to_string();
    if majors.is_empty() {
        return vec![Place::missing(&origin, "no such directory")];
    }
    majors
        .into_iter()
        .map(|major| Place::new(&origin, parent.join(format!("{major}/bin"))))
        .collect()
}
