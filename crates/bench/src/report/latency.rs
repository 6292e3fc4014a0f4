//! How long requests took.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::recorder::Latencies;

/// The time of requests until the end of their answers, in milliseconds: from sending in a closed
/// loop, from the intended start in an open one.
#[derive(Debug, Clone, Serialize)]
pub struct LatencyMs {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// The time of the requests of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct KindLatency {
    /// How many there were.
    pub requests: u64,
    /// How long they took.
    pub latency_ms: LatencyMs,
}

impl LatencyMs {
    pub(super) fn new(microseconds: &Histogram<u64>) -> Self {
        let at = |quantile| microseconds.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), p99_9: at(0.999), max: at(1.0) }
    }
}

impl KindLatency {
    pub(super) fn by_kind(latencies: &Latencies) -> BTreeMap<&'static str, Self> {
        let kinds = latencies.kinds().map(|(kind, histogram)| {
            let latency_ms = LatencyMs::new(histogram);
            (kind.name(), Self { requests: histogram.len(), latency_ms })
        });
        kinds.collect()
    }
}
