use std::time::Duration;

/// How far back the rate looks, in seconds of work.
const MEMORY_SECS: f64 = 1.0;

/// How fast batches are applied, learnt from those that were.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Items and seconds of work, the older the less they count.
    items: f64,
    seconds: f64,
    /// Of one batch, in seconds.
    mean: Option<f64>,
    deviation: f64,
}

impl Pace {
    /// A batch of so many items was applied; its lane worked on it for so long.
    pub(super) fn applied(&mut self, items: usize, service: Duration) {
        let seconds = service.as_secs_f64();
        let kept = (-seconds / MEMORY_SECS).exp();
        self.items = self.items * kept + items as f64;
        self.seconds = self.seconds * kept + seconds;
        // Gains of 1/8 and 1/4: V. Jacobson, "Congestion Avoidance and Control" (1988).
        match self.mean {
            None => (self.mean, self.deviation) = (Some(seconds), seconds / 2.0),
            Some(mean) => {
                // One hang that ended well does not make every deadline look too near.
                let error = seconds.min(4.0 * (mean + 4.0 * self.deviation)) - mean;
                self.mean = Some(mean + error / 8.0);
                self.deviation += (error.abs() - self.deviation) / 4.0;
            }
        }
    }

    /// Items a second that one lane applies; `None` before the first batch.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.items / self.seconds)
    }

    /// What a batch usually takes.
    pub(super) fn usual(&self) -> Option<Duration> {
        self.mean.map(Duration::from_secs_f64)
    }

    /// What hardly any batch exceeds: the mean and four mean deviations, as TCP times out.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.mean.map(|mean| Duration::from_secs_f64(mean + 4.0 * self.deviation))
    }
}
