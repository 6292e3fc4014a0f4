//! Reads the files of a run.

use crate::CheckError;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Gives each line of a file to somebody, with its number from 1.
pub(crate) fn each_line<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(u64, T),
) -> Result<(), CheckError> {
    let failed = |error| CheckError::Read { path: path.into(), error };
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if file.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        let value = serde_json::from_slice(&text);
        let value = value.map_err(|error| CheckError::Line { path: path.into(), line, error })?;
        take(line, value);
    }
    Ok(())
}

/// All lines of a file that is small.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, CheckError> {
    let mut all = Vec::new();
    each_line(path, |_, line| all.push(line))?;
    Ok(all)
}
