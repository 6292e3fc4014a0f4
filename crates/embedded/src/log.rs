//! The end of a log file, for errors.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The last lines of a log file, of those written after its first `from` bytes.
pub(crate) fn tail(log: &Path, from: u64) -> String {
    const LINES: usize = 20;
    const BYTES: u64 = 16 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let from = from.max(file.metadata()?.len().saturating_sub(BYTES));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(LINES)..].join("\n")
        }
        Err(error) => format!("(cannot read it: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_tail_is_of_this_run() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let earlier = "an earlier run\n";
        let now: Vec<_> = (0..30).map(|line| format!("line {line}")).collect();
        fs::write(&log, format!("{earlier}{}\n", now.join("\n"))).unwrap();
        assert_eq!(tail(&log, earlier.len() as u64), now[10..].join("\n"));
        assert_eq!(tail(&log, fs::metadata(&log).unwrap().len()), "");
    }
}
