use crate::engine::{BreakerState, Engine, SubmitError, Waiting};
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
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
    /// Seconds from the sending of a batch to its answer.
    pub batch_seconds: Histogram,
    /// Batches dispatched and not yet answered.
    pub batches_in_flight: IntGauge,
    /// Items that may be queued now: what is worked off in `queue.target_wait`.
    pub admission_limit_items: IntGauge,
    /// 0 closed, 1 half open, 2 open.
    pub breaker_state: IntGauge,
    /// Times that the breaker opened.
    pub breaker_opened: IntCounter,
    /// Batches sent again.
    pub retries: IntCounter,
    /// Batches that could be sent again at this moment.
    pub retry_budget: Gauge,
    /// Batches cut in two to find what cannot be applied, or who waits for a lock.
    pub divisions: IntCounter,
    /// Sessions given up because a batch was not answered in time.
    pub watchdogs: IntCounter,
}

/// Counts a batch as in flight while it lives, and for how long it did.
pub(crate) struct InFlight {
    metrics: Metrics,
    sent: Instant,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.batches_in_flight.dec();
        self.metrics.batch_seconds.observe(self.sent.elapsed().as_secs_f64());
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
        let gauge = |metric: &str, help: &str| IntGauge::with_opts(opts(metric, help));
        let counter = |metric: &str, help: &str| IntCounter::with_opts(opts(metric, help));
        let metrics = Self {
            queue_items: gauge("queue_items", "Items waiting in the queue.")?,
            queue_delay_seconds: histogram(
                "queue_delay_seconds",
                "Seconds from admission to dispatch.",
                seconds(),
            )?,
            shed: IntCounterVec::new(
                opts("shed_total", "Requests refused at admission, by reason."),
                &["reason"],
            )?,
            expired: counter(
                "deadline_expired_total",
                "Requests whose deadline or longest wait passed while queued.",
            )?,
            departed: counter(
                "abandoned_total",
                "Requests whose caller left while they were queued.",
            )?,
            // 1 to 16384 by doubling: batch sizes spread over orders of magnitude.
            batch_items: histogram(
                "batch_items",
                "Items in a batch.",
                (0..15).map(|i| f64::from(1 << i)).collect(),
            )?,
            batch_seconds: histogram(
                "batch_seconds",
                "Seconds from the sending of a batch to its answer.",
                seconds(),
            )?,
            batches_in_flight: gauge(
                "batches_in_flight",
                "Batches dispatched and not yet answered.",
            )?,
            admission_limit_items: gauge(
                "admission_limit_items",
                "Items that may be queued now: what is worked off in `queue.target_wait`.",
            )?,
            breaker_state: gauge("breaker_state", "0 closed, 1 half open, 2 open.")?,
            breaker_opened: counter("breaker_open_total", "Times that the breaker opened.")?,
            retries: counter("retries_total", "Batches sent again.")?,
            retry_budget: Gauge::with_opts(opts(
                "retry_budget",
                "Batches that could be sent again at this moment.",
            ))?,
            divisions: counter(
                "bisect_total",
                "Batches cut in two to find what cannot be applied, or who waits for a lock.",
            )?,
            watchdogs: counter(
                "watchdog_total",
                "Sessions given up because a batch was not answered in time.",
            )?,
        };
        // Known reasons appear from the start, so that a rate over them is never missing.
        for reason in SubmitError::SHED {
            metrics.shed.with_label_values(&[reason.label()]);
        }
        let all: [Box<dyn Collector>; 15] = [
            Box::new(metrics.queue_items.clone()),
            Box::new(metrics.queue_delay_seconds.clone()),
            Box::new(metrics.shed.clone()),
            Box::new(metrics.expired.clone()),
            Box::new(metrics.departed.clone()),
            Box::new(metrics.batch_items.clone()),
            Box::new(metrics.batch_seconds.clone()),
            Box::new(metrics.batches_in_flight.clone()),
            Box::new(metrics.admission_limit_items.clone()),
            Box::new(metrics.breaker_state.clone()),
            Box::new(metrics.breaker_opened.clone()),
            Box::new(metrics.retries.clone()),
            Box::new(metrics.retry_budget.clone()),
            Box::new(metrics.divisions.clone()),
            Box::new(metrics.watchdogs.clone()),
        ];
        for metric in all {
            registry.register(metric)?;
        }
        Ok(metrics)
    }

    pub(crate) fn refused(&self, error: SubmitError) {
        self.shed.with_label_values(&[error.label()]).inc();
    }

    /// Takes over what the engine has counted, and how it is.
    pub(crate) fn observe<T>(&self, now: Instant, engine: &mut Engine<T>) {
        let counts = engine.take_counts();
        self.retries.inc_by(counts.retries);
        self.divisions.inc_by(counts.divisions);
        self.watchdogs.inc_by(counts.watchdogs);
        self.breaker_opened.inc_by(counts.opened);
        self.expired.inc_by(counts.expired + counts.delayed);
        self.queue_items.set(engine.held().items as i64);
        self.admission_limit_items.set(engine.item_limit(now) as i64);
        self.retry_budget.set(engine.retry_tokens(now));
        self.breaker_state.set(match engine.breaker() {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        });
    }

    pub(crate) fn dispatched<T>(&self, members: &[Waiting<T>]) -> InFlight {
        let now = Instant::now();
        let mut items = 0;
        for waiting in members {
            items += waiting.claim.size.items;
            self.queue_delay_seconds.observe((now - waiting.admitted).as_secs_f64());
        }
        self.batch_items.observe(items as f64);
        self.batches_in_flight.inc();
        InFlight { metrics: self.clone(), sent: now }
    }
}

impl SubmitError {
    /// Those that say: not now.
    const SHED: [Self; 6] = [
        Self::QueueFull,
        Self::QueueDelay,
        Self::Deadline,
        Self::ClientShare,
        Self::BreakerOpen,
        Self::Draining,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueDelay => "queue_delay",
            Self::Deadline => "deadline",
            Self::ClientShare => "client_share",
            Self::BreakerOpen => "breaker_open",
            Self::Draining => "draining",
            Self::TooLarge => "too_large",
        }
    }
}
