//! What was run.

use serde::Serialize;

use crate::Options;
use crate::control::NotSent;
use crate::workload::{OpenLoop, Workload};

/// What was run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Which requests were sent, and between which accounts.
    pub name: Workload,
    /// How requests follow each other: `closed` (each connection sends when its last request is
    /// answered) or `open` (by a schedule).
    pub arrival: &'static str,
    /// The same in words, with what latency counts from.
    pub label: String,
    /// HTTP connections.
    pub connections: usize,
    /// Transfers in one request; of `chains` and `mixed` the most.
    pub transfers_per_request: usize,
    /// Accounts apart from the others: those that are debited, and the one of `pareto`.
    pub hot_accounts: u64,
    /// All other accounts.
    pub accounts: u64,
    /// The ledger.
    pub ledger: u32,
    /// The seed.
    pub seed: u64,
    /// Length of the warm-up, in seconds.
    pub warmup_seconds: f64,
    /// Length of the measured window, in seconds.
    pub measured_seconds: f64,
}

/// How well the schedule of an open loop was kept.
#[derive(Debug, Clone, Serialize)]
pub struct Schedule {
    /// How the arrivals were spaced, and how many a second were to be sent.
    #[serde(flatten)]
    pub offered: OpenLoop,
    /// Requests per second that were answered in the measured window.
    pub achieved_rate: f64,
    /// Arrivals that were due by the end and never sent, because all connections were busy. Those
    /// of the measured window are in the latencies, with the time that they had waited by then.
    pub not_sent: u64,
    /// How long the first of them had waited at the end, in seconds.
    pub behind_seconds: f64,
    /// The most arrivals of the measured window that were due and not yet sent.
    pub largest_backlog: usize,
}

impl Run {
    pub(super) fn new(options: &Options, measured_seconds: f64) -> Self {
        let (hot_accounts, accounts) = options.account_counts();
        Self {
            name: options.workload,
            arrival: if options.open_loop.is_some() { "open" } else { "closed" },
            label: options.loop_label(),
            connections: options.connections,
            transfers_per_request: options.transfers_per_request(),
            hot_accounts: hot_accounts.into(),
            accounts: accounts.into(),
            ledger: options.ledger,
            seed: options.seed,
            warmup_seconds: options.warmup.as_secs_f64(),
            measured_seconds,
        }
    }
}

impl Schedule {
    pub(super) fn new(offered: OpenLoop, achieved_rate: f64, not_sent: &NotSent) -> Self {
        let NotSent { count, behind_seconds, largest_backlog } = *not_sent;
        Self { offered, achieved_rate, not_sent: count, behind_seconds, largest_backlog }
    }
}
