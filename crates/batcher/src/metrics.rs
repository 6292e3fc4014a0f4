use crate::queue::{Entry, SubmitError};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::Instant;

/// What one batcher tells Prometheus. Each field's first sentence is its help text.
#[derive(Clone)]
pub struct Metrics {
    /// Items waiting in the queue.
    pub queue_items: IntGauge,
    /// Seconds from admission to dispatch.
    pub queue_delay_seconds: Histogram,
    /// Requests refused at admission, by reason.
    pub shed: IntCounterVec,
    /// Requests whose deadline or longest wait passed while queued.
    pub expired: IntCounter,
    /// Requests whose caller left while they were queued.
    pub departed: IntCounter,
    /// Items in a batch.
    pub batch_items: Histogram,
    /// Seconds from dispatch of a batch to its outcomes.
    pub batch_seconds: Histogram,
    /// Batches dispatched and not yet answered.
    pub batches_in_flight: IntGauge,
}

/// Counts a batch as in flight while it lives.
pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// 100 µs to 13 s by doubling: from one local round trip to past every time-out.
fn seconds() -> Vec<f64> {
    (0..18).map(|i| 1e-4 * f64::from(1 << i)).collect()
}

impl Metrics {
    /// Registers the metrics, prefixed with `giro_` and labelled `batcher = name`.
    pub fn register(registry: &Registry, name: &str) -> prometheus::Result<Self> {
        let opts = |metric: &str, help: &str| {
            Opts::new(format!("giro_{metric}"), help).const_label("batcher", name)
        };
        let histogram = |metric: &str, help: &str, buckets: Vec<f64>| {
            Histogram::with_opts(HistogramOpts::from(opts(metric, help)).buckets(buckets))
        };
        let metrics = Self {
            queue_items: IntGauge::with_opts(opts("queue_items", "Items waiting in the queue."))?,
            queue_delay_seconds: histogram(
                "queue_delay_seconds",
                "Seconds from admission to dispatch.",
                seconds(),
            )?,
            shed: IntCounterVec::new(
                opts("shed_total", "Requests refused at admission, by reason."),
                &["reason"],
            )?,
            expired: IntCounter::with_opts(opts(
                "deadline_expired_total",
                "Requests whose deadline or longest wait passed while queued.",
            ))?,
            departed: IntCounter::with_opts(opts(
                "abandoned_total",
                "Requests whose caller left while they were queued.",
            ))?,
            // 1 to 16384 by doubling: batch sizes spread over orders of magnitude.
            batch_items: histogram(
                "batch_items",
                "Items in a batch.",
                (0..15).map(|i| f64::from(1 << i)).collect(),
            )?,
            batch_seconds: histogram(
                "batch_seconds",
                "Seconds from dispatch of a batch to its outcomes.",
                seconds(),
            )?,
            batches_in_flight: IntGauge::with_opts(opts(
                "batches_in_flight",
                "Batches dispatched and not yet answered.",
            ))?,
        };
        // Known reasons appear from the start, so that a rate over them is never missing.
        for reason in [SubmitError::QueueFull, SubmitError::Draining] {
            metrics.shed.with_label_values(&[label(reason)]);
        }
        registry.register(Box::new(metrics.queue_items.clone()))?;
        registry.register(Box::new(metrics.queue_delay_seconds.clone()))?;
        registry.register(Box::new(metrics.shed.clone()))?;
        registry.register(Box::new(metrics.expired.clone()))?;
        registry.register(Box::new(metrics.departed.clone()))?;
        registry.register(Box::new(metrics.batch_items.clone()))?;
        registry.register(Box::new(metrics.batch_seconds.clone()))?;
        registry.register(Box::new(metrics.batches_in_flight.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn refused(&self, error: SubmitError) {
        self.shed.with_label_values(&[label(error)]).inc();
    }

    pub(crate) fn dispatched<R, O>(&self, entries: &[Entry<R, O>]) -> InFlight {
        let now = Instant::now();
        let mut items = 0;
        for entry in entries {
            items += entry.size.items;
            self.queue_delay_seconds.observe((now - entry.admitted).as_secs_f64());
        }
        self.batch_items.observe(items as f64);
        self.batches_in_flight.inc();
        InFlight(self.batches_in_flight.clone())
    }
}

fn label(error: SubmitError) -> &'static str {
    match error {
        SubmitError::QueueFull => "queue_full",
        SubmitError::Draining => "draining",
        SubmitError::TooLarge => "too_large",
    }
}
