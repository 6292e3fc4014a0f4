//! The measured window.

use std::process;
use std::time::Duration;

use tokio::time::Instant;

use crate::control::Control;
use crate::database::{Database, Snapshot};
use crate::intervals::Intervals;
use crate::sampler::{Sampled, Sampler};
use crate::{BenchError, Options, cpu, progress};

/// The measured window: its length, what was read at both ends, and what was seen meanwhile.
pub(crate) struct Window {
    pub(crate) length: Duration,
    pub(crate) before: Reading,
    pub(crate) after: Reading,
    pub(crate) sampled: Sampled,
}

/// What is read at an end of the window.
pub(crate) struct Reading {
    pub(crate) database: Snapshot,
    pub(crate) client_seconds: Result<f64, String>,
    pub(crate) server_seconds: Result<f64, String>,
}

/// Leads the load through warm-up and measured window.
pub(crate) async fn measure(
    options: &Options,
    control: &Control,
    database: &Database,
    mut sampler: Sampler,
    intervals: &mut Intervals,
) -> Result<Window, BenchError> {
    progress::wait("warming up", options.warmup, || control.applied()).await;
    let before = Reading::take(options, database).await?;
    let began = Instant::now();
    intervals.begin(&options.loop_label())?;
    control.measure();
    tokio::select! {
        never = sampler.run(control, &before.database.counters) => match never? {},
        never = intervals.run(control) => match never? {},
        () = progress::wait("measuring", options.duration, || control.applied()) => {}
    }
    control.stop();
    let length = began.elapsed();
    let after = Reading::take(options, database).await?;
    Ok(Window { length, before, after, sampled: sampler.finish() })
}

impl Reading {
    async fn take(options: &Options, database: &Database) -> Result<Self, BenchError> {
        let no_pid = || Err("the process id of the server was not given".into());
        Ok(Self {
            client_seconds: cpu::seconds(process::id()),
            server_seconds: options.server_pid.map_or_else(no_pid, cpu::seconds),
            database: database.snapshot().await?,
        })
    }
}
