//! How long requests took, by their kind.

use std::array;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// What a request was, and whether it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One transfer.
    Single,
    /// Transfers that have nothing to do with each other.
    Bulk,
    /// Linked transfers.
    Chain,
    /// A `GET`.
    Read,
    /// Answered, and nothing was done.
    Refused,
    /// In an open loop: given up or never sent, after the time it had waited by then.
    Unanswered,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Single, Self::Bulk, Self::Chain, Self::Read, Self::Refused, Self::Unanswered];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bulk => "bulk",
            Self::Chain => "chain",
            Self::Read => "read",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Latencies in microseconds, by kind.
#[derive(Debug, Clone)]
pub(crate) struct Latencies([Histogram<u64>; Kind::ALL.len()]);

impl Latencies {
    pub(crate) fn new() -> Self {
        Self(array::from_fn(|_| Histogram::new(3).expect("three digits are valid")))
    }

    pub(crate) fn record(&mut self, kind: Kind, latency: Duration) {
        let microseconds = latency.as_micros() as u64;
        self.0[kind as usize].record(microseconds).expect("the histogram grows as needed");
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, other) in self.0.iter_mut().zip(&other.0) {
            sum.add(other).expect("the histogram grows as needed");
        }
    }

    /// Of all kinds together.
    pub(crate) fn all(&self) -> Histogram<u64> {
        let [first, others @ ..] = &self.0;
        let mut sum = first.clone();
        for other in others {
            sum.add(other).expect("the histogram grows as needed");
        }
        sum
    }

    /// The kinds there were.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Kind, &Histogram<u64>)> {
        Kind::ALL.into_iter().zip(&self.0).filter(|(_, histogram)| !histogram.is_empty())
    }
}

/// Where all connections record.
#[derive(Debug)]
pub(crate) struct Recorder(Mutex<Latencies>);

impl Recorder {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Latencies::new()))
    }

    pub(crate) fn record(&self, kind: Kind, latency: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).record(kind, latency);
    }

    /// What was recorded since the last call.
    pub(crate) fn take(&self) -> Latencies {
        let new = Latencies::new();
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), new)
    }
}
