//! Makes the database cluster on the first start: by `initdb`, or as a copy of a running server.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::binaries::Binaries;
use crate::data_dir::{DataDir, ignore_missing, make_private, open_private};
use crate::error::StartError;
use crate::options::Options;
use crate::privileges::{User, give};
use crate::process::random_hex;
use crate::server;
use crate::standby::base_backup;

const UNFINISHED: &str = "pg.new-";

/// Makes the cluster unless there is one, and returns the password of its superuser.
pub(crate) fn ensure(data_dir: &DataDir, options: &Options) -> Result<String, StartError> {
    let pgdata = data_dir.pgdata();
    if pgdata.exists() {
        check_version(&pgdata, &options.binaries)?;
    } else {
        make_cluster(data_dir, options)?;
    }
    let path = data_dir.password();
    let password = fs::read_to_string(&path).map_err(StartError::io("read", &path))?;
    Ok(password.trim_end().to_owned())
}

/// A cluster that is broken off in the making must leave no `pg` behind, so it is made elsewhere, under a
/// name that no earlier one, which may still be cleaning up, has.
fn make_cluster(data_dir: &DataDir, options: &Options) -> Result<(), StartError> {
    let root = data_dir.root();
    remove_unfinished(root).map_err(StartError::io("clean up", root))?;
    let random = || random_hex().map_err(StartError::io("use", "/dev/urandom".as_ref()));
    let new = root.join(format!("{UNFINISHED}{}", random()?));
    make_private(&new, data_dir.user())?;

    let password = data_dir.password();
    let secret = match &options.primary {
        Some(primary) => primary.password.clone(),
        None => random()?,
    };
    write_password(&password, &secret, data_dir.user())
        .map_err(StartError::io("write", &password))?;

    let wal_dir = options.wal_dir.as_deref();
    if let Some(wal_dir) = wal_dir {
        give(wal_dir, data_dir.user())?;
    }
    match &options.primary {
        Some(primary) => base_backup(data_dir, &options.binaries, primary, &new, wal_dir)?,
        None => run_initdb(data_dir, &options.binaries, &new, wal_dir)?,
    }

    let pgdata = data_dir.pgdata();
    fs::rename(&new, &pgdata).map_err(StartError::io("rename to", &pgdata))?;
    File::open(root).and_then(|dir| dir.sync_all()).map_err(StartError::io("sync", root))
}

fn run_initdb(
    data_dir: &DataDir,
    binaries: &Binaries,
    target: &Path,
    wal_dir: Option<&Path>,
) -> Result<(), StartError> {
    let arguments: [OsString; 10] = [
        "--encoding=UTF8".into(),
        "--locale=C".into(),
        "--data-checksums".into(),
        "--username=postgres".into(),
        "--auth-local=trust".into(),
        "--auth-host=scram-sha-256".into(),
        "--no-instructions".into(),
        "--pwfile".into(),
        data_dir.password().into(),
        "--pgdata".into(),
    ];
    let arguments = [&arguments[..], &[target.into()], &wal_dir_arguments(wal_dir)].concat();
    server::run_to_end("initdb", &arguments, data_dir, binaries)
}

/// As both `initdb` and `pg_basebackup` take them.
pub(crate) fn wal_dir_arguments(wal_dir: Option<&Path>) -> Vec<OsString> {
    wal_dir.map(|dir| vec!["--waldir".into(), dir.into()]).unwrap_or_default()
}

fn remove_unfinished(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            ignore_missing(fs::remove_dir_all(entry.path()))?;
        }
    }
    Ok(())
}

fn write_password(path: &Path, password: &str, user: Option<&User>) -> io::Result<()> {
    ignore_missing(fs::remove_file(path))?;
    let mut file = open_private(path, File::options().write(true).create_new(true), user)?;
    writeln!(file, "{password}")?;
    file.sync_all()
}

fn check_version(pgdata: &Path, binaries: &Binaries) -> Result<(), StartError> {
    let path = pgdata.join("PG_VERSION");
    let found = fs::read_to_string(&path).map_err(StartError::io("read", &path))?;
    let found = found.trim();
    if found == binaries.version().major.to_string() {
        return Ok(());
    }
    Err(StartError::VersionMismatch {
        data_dir: pgdata.to_owned(),
        found: found.to_owned(),
        binaries: binaries.version(),
    })
}
