//! The latencies as an HdrHistogram interval log, which its tools read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::BenchError;
use crate::recorder::Latencies;

/// A log with an interval a second. Values and maxima are microseconds.
pub(crate) struct HdrLog {
    path: PathBuf,
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl HdrLog {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, BenchError> {
        let file = File::create(path).map_err(BenchError::file(path))?;
        let serializer = V2DeflateSerializer::new();
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), serializer })
    }

    /// Writes the header. `what` says what was measured.
    pub(crate) fn begin(&mut self, what: &str, start: SystemTime) -> Result<(), BenchError> {
        let begun = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!("giro bench, microseconds, {what}"))
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut self.file, &mut self.serializer);
        begun.map(drop).map_err(BenchError::file(&self.path))
    }

    /// Writes an interval that began `since` the start: all kinds together, and when there are
    /// several each with its name as a tag.
    pub(crate) fn interval(
        &mut self,
        latencies: &Latencies,
        since: Duration,
        length: Duration,
    ) -> Result<(), BenchError> {
        self.line(&latencies.all(), since, length, None)?;
        if latencies.kinds().count() > 1 {
            for (kind, histogram) in latencies.kinds() {
                self.line(histogram, since, length, Tag::new(kind.name()))?;
            }
        }
        // Whoever interrupts the run keeps what was measured.
        self.file.flush().map_err(BenchError::file(&self.path))
    }

    fn line(
        &mut self,
        histogram: &Histogram<u64>,
        since: Duration,
        length: Duration,
        tag: Option<Tag<'_>>,
    ) -> Result<(), BenchError> {
        // A builder without headers writes none.
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.file, &mut self.serializer)
            .and_then(|mut log| {
                log.write_histogram(histogram, since, length, tag).map_err(io::Error::other)
            })
            .map_err(BenchError::file(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::recorder::Kind;

    #[test]
    fn a_log_has_a_header_and_an_interval_for_each_second() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("latencies.hlog");
        let mut log = HdrLog::create(&path).expect("created");
        log.begin("closed loop", SystemTime::now()).expect("written");
        let mut latencies = Latencies::new();
        latencies.record(Kind::Single, Duration::from_millis(3));
        let second = Duration::from_secs(1);
        log.interval(&latencies, Duration::ZERO, second).expect("written");
        latencies.record(Kind::Refused, Duration::from_millis(5));
        log.interval(&latencies, second, second).expect("written");

        let text = std::fs::read(&path).expect("readable");
        let entries = IntervalLogIterator::new(&text).map(|entry| entry.expect("an entry"));
        let mut headers = 0;
        let mut intervals = Vec::new();
        for entry in entries {
            match entry {
                LogEntry::StartTime(_) | LogEntry::BaseTime(_) => headers += 1,
                LogEntry::Interval(line) => intervals.push((
                    line.start_timestamp(),
                    line.max(),
                    line.tag().map(|tag| tag.as_str()),
                )),
            }
        }
        assert_eq!(headers, 2);
        let none = Duration::ZERO;
        assert_eq!(intervals[0], (none, 3001.0, None));
        let tags: Vec<_> = intervals[1..].iter().map(|(_, _, tag)| *tag).collect();
        assert_eq!(tags, [None, Some("single"), Some("refused")]);
        assert!(intervals[1..].iter().all(|(start, _, _)| *start == second));
    }

    #[test]
    fn a_file_that_cannot_be_created_is_named() {
        let error = HdrLog::create(Path::new("/nowhere/a.hlog")).err().expect("refused");
        assert!(error.to_string().starts_with("/nowhere/a.hlog: "), "{error}");
    }
}
