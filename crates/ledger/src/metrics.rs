use crate::connect::ConnectError;
use crate::failure::Cause;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// What the calls tell Prometheus. Each field's first sentence is its help text.
#[derive(Clone)]
pub struct Metrics {
    /// Seconds of a call that was answered, by function.
    pub call_seconds: HistogramVec,
    /// Calls whose result is unknown, by function and cause.
    pub unknown: IntCounterVec,
    /// Calls that reached their accounts too late to be applied, by function.
    pub fenced: IntCounterVec,
    /// Errors that PostgreSQL answered a call with, by SQLSTATE and severity.
    pub db_errors: IntCounterVec,
    /// Sessions that could not be opened, by SQLSTATE or cause.
    pub connect_failures: IntCounterVec,
    /// Holds that were released because their time was over.
    pub holds_expired: IntCounter,
    /// Times that releasing holds failed and was begun again.
    pub expiry_failures: IntCounter,
}

impl Metrics {
    /// Registers the metrics, prefixed with `giro_`.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(format!("giro_{name}"), help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let single = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("giro_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let call_seconds = HistogramVec::new(
            HistogramOpts::new(
                "giro_call_seconds",
                "Seconds of a call that was answered, by function.",
            )
            // 100 µs to 13 s by doubling: from one local round trip to past every time-out.
            .buckets((0..18).map(|i| 1e-4 * f64::from(1 << i)).collect()),
            &["function"],
        )?;
        registry.register(Box::new(call_seconds.clone()))?;
        let metrics = Self {
            call_seconds,
            unknown: counter(
                "unknown_total",
                "Calls whose result is unknown, by function and cause.",
                &["function", "cause"],
            )?,
            fenced: counter(
                "fenced_total",
                "Calls that reached their accounts too late to be applied, by function.",
                &["function"],
            )?,
            db_errors: counter(
                "db_errors_total",
                "Errors that PostgreSQL answered a call with, by SQLSTATE and severity.",
                &["sqlstate", "severity"],
            )?,
            connect_failures: counter(
                "connect_failures_total",
                "Sessions that could not be opened, by SQLSTATE or cause.",
                &["cause"],
            )?,
            holds_expired: single(
                "holds_expired_total",
                "Holds that were released because their time was over.",
            )?,
            expiry_failures: single(
                "expiry_failures_total",
                "Times that releasing holds failed and was begun again.",
            )?,
        };
        for function in ["apply_transfers", "create_accounts"] {
            metrics.fenced.with_label_values(&[function]);
            for cause in Cause::ALL {
                metrics.unknown.with_label_values(&[function, cause.label()]);
            }
        }
        Ok(metrics)
    }

    pub(crate) fn unknown(&self, function: &str, cause: Cause) {
        self.unknown.with_label_values(&[function, cause.label()]).inc();
    }

    pub(crate) fn call_failed(&self, error: &tokio_postgres::Error) {
        if let Some(word) = error.as_db_error() {
            self.db_errors.with_label_values(&[word.code().code(), word.severity()]).inc();
        }
    }

    pub(crate) fn connect_failed(&self, error: &ConnectError) {
        for cause in error.causes() {
            self.connect_failures.with_label_values(&[cause]).inc();
        }
    }
}
