//! The latencies of each second of the measured window.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::BenchError;
use crate::control::Control;
use crate::hdr_log::HdrLog;
use crate::recorder::Latencies;

/// Takes what was recorded, second by second, into a log where one is wanted.
pub(crate) struct Intervals {
    log: Option<HdrLog>,
    began: Instant,
    cut: Duration,
    all: Latencies,
}

impl Intervals {
    pub(crate) fn new(log: Option<HdrLog>) -> Self {
        Self { log, began: Instant::now(), cut: Duration::ZERO, all: Latencies::new() }
    }

    /// Begins the first interval now. `what` says what is measured.
    pub(crate) fn begin(&mut self, what: &str) -> Result<(), BenchError> {
        self.began = Instant::now();
        self.log.as_mut().map_or(Ok(()), |log| log.begin(what, SystemTime::now()))
    }

    /// Ends an interval every second, until this is dropped.
    pub(crate) async fn run(&mut self, control: &Control) -> Result<Infallible, BenchError> {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        seconds.tick().await;
        loop {
            seconds.tick().await;
            self.cut(control)?;
        }
    }

    /// Ends an interval.
    fn cut(&mut self, control: &Control) -> Result<(), BenchError> {
        let (from, until) = (self.cut, self.began.elapsed());
        let latencies = control.recorder.take();
        self.all.add(&latencies);
        self.cut = until;
        match &mut self.log {
            Some(log) => log.interval(&latencies, from, until - from),
            None => Ok(()),
        }
    }

    /// Ends the last interval, when all answers have come, and gives the latencies of all.
    pub(crate) fn finish(mut self, control: &Control) -> Result<Latencies, BenchError> {
        self.cut(control)?;
        Ok(self.all)
    }
}
