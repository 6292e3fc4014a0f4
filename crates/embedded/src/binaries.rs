//! Finds the programs of an installed PostgreSQL.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::places::{Place, in_path, pg_config, versioned};

/// The oldest major version of PostgreSQL that Giro works with.
pub const OLDEST_MAJOR: u32 = 15;

const DIR_VARIABLE: &str = "GIRO_POSTGRES_BIN";
const VERSIONED_DIRS: &str = "/usr/lib/postgresql";

/// A version of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version, such as 15.
    pub major: u32,
    /// The minor version; 0 for a development version.
    pub minor: u32,
}

impl Version {
    /// Reads what `postgres --version` prints, such as `postgres (PostgreSQL) 15.18 (Debian ...)`.
    fn parse(output: &str) -> Option<Version> {
        let (_, version) = output.split_once("(PostgreSQL) ")?;
        let (major, rest) = leading_number(version)?;
        let minor = rest.strip_prefix('.').and_then(leading_number).map_or(0, |(minor, _)| minor);
        Some(Version { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// A directory that holds the programs of a usable PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
    version: Version,
}

impl Binaries {
    /// Looks for PostgreSQL 15 or newer: in `explicit`, in the directory that the environment
    /// variable `GIRO_POSTGRES_BIN` names, where `pg_config --bindir` says, in the directories of
    /// `PATH`, and in `/usr/lib/postgresql/*/bin`, newest first. The first that will do is taken.
    ///
    /// # Errors
    ///
    /// Nothing usable was found. When `explicit` or `GIRO_POSTGRES_BIN` is given, only that
    /// directory is looked at.
    pub fn find(explicit: Option<&Path>) -> Result<Binaries, BinariesNotFound> {
        if let Some(dir) = explicit {
            return first_usable([Place::new("the directory given", dir)]);
        }
        if let Some(dir) = env::var_os(DIR_VARIABLE).filter(|dir| !dir.is_empty()) {
            return first_usable([Place::new(DIR_VARIABLE, dir)]);
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let places = [pg_config()].into_iter().chain(in_path(&path));
        first_usable(places.chain(versioned(Path::new(VERSIONED_DIRS))))
    }

    /// The directory that holds `postgres`, `initdb` and the other programs, symlinks resolved.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The version that `postgres --version` reports.
    pub fn version(&self) -> Version {
        self.version
    }

    fn inspect(dir: &Path) -> Result<Binaries, String> {
        let postgres = fs::canonicalize(dir.join("postgres"))
            .map_err(|error| format!("no `postgres` there ({error})"))?;
        // A symlink outside leads to the directory where the other programs are.
        let dir = [postgres.parent().unwrap_or(dir), dir]
            .into_iter()
            .find(|dir| dir.join("initdb").is_file())
            .ok_or_else(|| format!("no `initdb` beside `{}`", postgres.display()))?;
        let dir = fs::canonicalize(dir).map_err(|error| error.to_string())?;
        let version = output(&dir.join("postgres"), "--version")?;
        let version = Version::parse(&version)
            .ok_or_else(|| format!("`postgres --version` printed {:?}", version.trim()))?;
        if version.major < OLDEST_MAJOR {
            return Err(format!("PostgreSQL {version} is too old"));
        }
        Ok(Binaries { dir, version })
    }
}

fn first_usable(places: impl IntoIterator<Item = Place>) -> Result<Binaries, BinariesNotFound> {
    let mut looked_at = Vec::new();
    for Place { origin, dir } in places {
        let rejected = match dir {
            Err(reason) => Rejected { place: origin, reason },
            Ok(dir) => match Binaries::inspect(&dir) {
                Ok(binaries) => return Ok(binaries),
                Err(reason) => {
                    Rejected { place: format!("{origin} (`{}`)", dir.display()), reason }
                }
            },
        };
        looked_at.push(rejected);
    }
    Err(BinariesNotFound { looked_at })
}

/// What a program prints for one argument.
pub(crate) fn output(program: &Path, argument: &str) -> Result<String, String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .map_err(|error| format!("cannot run `{}`: {error}", program.display()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let command = format!("`{} {argument}`", program.display());
        return Err(format!("{command} failed with {}: {}", output.status, stderr.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// No usable PostgreSQL is installed where [`Binaries::find`] looked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found no PostgreSQL {OLDEST_MAJOR} or newer{}\n\
     Install one with `apt-get install postgresql` (Debian, Ubuntu), or name the directory that \
     holds its programs in {DIR_VARIABLE}.",
    list(.looked_at)
)]
pub struct BinariesNotFound {
    /// Every place that was looked at, in order.
    pub looked_at: Vec<Rejected>,
}

/// A place without a usable PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What was looked at.
    pub place: String,
    /// Why it did not do.
    pub reason: String,
}

fn list(looked_at: &[Rejected]) -> String {
    looked_at.iter().map(|it| format!("\n  {}: {}", it.place, it.reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Writes a stand-in for `postgres` that reports `version`, with an `initdb` beside it.
    fn fake(dir: &Path, version: &str) {
        fs::create_dir_all(dir).unwrap();
        let postgres = dir.join("postgres");
        fs::write(&postgres, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"))
            .unwrap();
        fs::set_permissions(&postgres, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.join("initdb"), "").unwrap();
    }

    #[test]
    fn reads_versions() {
        let parse = |text| Version::parse(text).map(|it| (it.major, it.minor));
        assert_eq!(parse("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, 18)));
        assert_eq!(parse("postgres (PostgreSQL) 19devel\n"), Some((19, 0)));
        assert_eq!(parse("postgres (PostgreSQL) 18beta1\n"), Some((18, 0)));
        assert_eq!(parse("postgres (PostgreSQL) 9.6.24\n"), Some((9, 6)));
        assert_eq!(parse("something else\n"), None);
    }

    #[test]
    fn follows_a_symlink_to_the_directory_of_the_programs() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap().join("17/bin");
        fake(&real, "17.2");
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        symlink(real.join("postgres"), outside.join("postgres")).unwrap();

        let found = Binaries::inspect(&outside).unwrap();
        assert_eq!(found, Binaries { dir: real, version: Version { major: 17, minor: 2 } });
    }

    #[test]
    fn takes_the_newest_and_skips_what_will_not_do() {
        let dir = tempfile::tempdir().unwrap();
        for major in ["9", "14", "15", "16"] {
            fake(&dir.path().join(major).join("bin"), &format!("{major}.1"));
        }
        fs::remove_file(dir.path().join("16/bin/initdb")).unwrap();

        let places = || versioned(dir.path());
        assert_eq!(first_usable(places()).unwrap().version().major, 15);
        fs::remove_dir_all(dir.path().join("15")).unwrap();
        let error = first_usable(places()).unwrap_err();
        assert_eq!(error.looked_at.len(), 3);
        assert!(error.looked_at[0].reason.contains("no `initdb`"), "{error}");
        assert!(error.looked_at[1].reason.contains("14.1 is too old"), "{error}");
    }

    #[test]
    fn an_explicit_directory_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
        assert!(error.contains("no `postgres` there"), "{error}");
        assert!(error.contains("apt-get install postgresql"), "{error}");
        assert!(!error.contains("PATH"), "{error}");
    }

    #[test]
    fn says_that_path_holds_none() {
        let dir = tempfile::tempdir().unwrap();
        let error = first_usable(in_path(dir.path().as_os_str())).unwrap_err().to_string();
        assert!(error.contains("PATH: no directory in it holds `postgres`"), "{error}");
    }
}
