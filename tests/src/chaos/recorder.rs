//! Writes down what happens, on the clock of the run, without a file being waited for.

use super::alarm::Alarm;
use super::timeline::Timeline;
use giro_checker::history::{ACCOUNTS, Attempt, HISTORY, Opened};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::mpsc;

/// Attempts that may wait to be written; then their callers wait.
const QUEUE: usize = 16_384;

/// Tells the time of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Nanoseconds since the run began.
    pub(super) fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// Takes every attempt of a run. Cheap to clone.
#[derive(Clone)]
pub(super) struct Recorder {
    clock: Clock,
    queue: mpsc::Sender<Attempt>,
    alarm: Arc<Alarm>,
    directory: Arc<Path>,
}

/// The file behind a [`Recorder`].
pub(super) struct HistoryFile {
    thread: JoinHandle<std::io::Result<Timeline>>,
}

impl Recorder {
    /// Begins the history of a run, and its clock.
    pub(super) fn begin(
        directory: &Path,
        alarm: Arc<Alarm>,
    ) -> std::io::Result<(Self, HistoryFile)> {
        let file = File::create(directory.join(HISTORY))?;
        let (queue, attempts) = mpsc::channel(QUEUE);
        let thread = std::thread::spawn(move || write(file, attempts));
        let (clock, directory) = (Clock(Instant::now()), directory.into());
        Ok((Self { clock, queue, alarm, directory }, HistoryFile { thread }))
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// For those who write elsewhere.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Writes down which accounts the run opens.
    pub(super) fn opens(&self, accounts: &[Opened]) -> std::io::Result<()> {
        let mut lines = Lines::create(&self.directory.join(ACCOUNTS))?;
        accounts.iter().try_for_each(|account| lines.add(account))
    }

    /// Writes an attempt down. A run whose history is not whole has failed.
    pub(super) async fn note(&self, attempt: Attempt) {
        if self.queue.send(attempt).await.is_err() {
            self.alarm.raise("the history could not be written".into());
        }
    }
}

impl HistoryFile {
    /// Waits until everything is written; nobody holds the [`Recorder`] any more.
    pub(super) fn end(self) -> std::io::Result<Timeline> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn write(file: File, mut attempts: mpsc::Receiver<Attempt>) -> std::io::Result<Timeline> {
    let mut lines = BufWriter::with_capacity(1 << 20, file);
    let mut timeline = Timeline::default();
    while let Some(attempt) = attempts.blocking_recv() {
        serde_json::to_writer(&mut lines, &attempt)?;
        lines.write_all(b"\n")?;
        timeline.note(&attempt);
    }
    lines.flush()?;
    Ok(timeline)
}

/// A file of a run with few lines, each of which is there when this returns.
pub(super) struct Lines {
    file: File,
}

impl Lines {
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path)? })
    }

    pub(super) fn add(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use giro_checker::history::{Answer, Asked};

    #[tokio::test]
    async fn a_history_that_cannot_be_written_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", directory.path().join(HISTORY)).unwrap();
        let alarm = Arc::new(Alarm::default());
        let (recorder, history) = Recorder::begin(directory.path(), alarm.clone()).unwrap();
        let why = "x".repeat(1000);
        // More than what is written at once and what may wait.
        for _ in 0..20_000 {
            let (asked, answer) = (Asked::Account(1), Answer::NotRead(why.clone()));
            let attempt = Attempt { caller: 1, server: 0, inv: 1, ret: 2, asked, answer };
            recorder.note(attempt).await;
        }
        drop(recorder);
        assert!(history.end().is_err());
        assert!(alarm.said().is_some_and(|said| said.contains("history")));
    }
}
