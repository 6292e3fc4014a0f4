//! The parts of a report, each in a line.

use std::fmt::{self, Display, Formatter};

use crate::money::Money;
use crate::outcome::Outcomes;
use crate::report::{DatabaseWork, LatencyMs, Run, Schedule, Throughput, Trouble};

impl Display for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let most = if self.name.largest_request().is_some() { "at most " } else { "" };
        write!(
            f,
            "{}, {} connections, {most}{} transfers per request, {:.1} s measured after {:.1} s \
             of warm-up",
            self.name,
            self.connections,
            self.transfers_per_request,
            self.measured_seconds,
            self.warmup_seconds,
        )
    }
}

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} requests/s offered, {:.0} achieved, at most {} waiting to be sent",
            self.offered.rate, self.achieved_rate, self.largest_backlog
        )?;
        if self.not_sent > 0 {
            let Self { not_sent, behind_seconds, .. } = self;
            write!(f, "; {not_sent} NOT SENT by the end, then {behind_seconds:.3} s late")?;
        }
        Ok(())
    }
}

impl Display for Throughput {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} transfers/s applied, {:.0} requests/s",
            self.transfers_per_second, self.requests_per_second
        )?;
        if self.reads_per_second > 0.0 {
            write!(f, ", {:.0} of them reads", self.reads_per_second)?;
        }
        Ok(())
    }
}

impl Display for Money {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged, {} found in the balances, {} unknown",
            self.acknowledged, self.found, self.unknown
        )?;
        if (self.pending_acknowledged, self.pending_found) != (0, 0) {
            let Self { pending_acknowledged, pending_found, .. } = self;
            write!(f, "; pending: {pending_acknowledged} acknowledged, {pending_found} found")?;
        }
        let Self { accounts_checked, accounts_read_over_http, .. } = self;
        write!(
            f,
            "; {accounts_checked} accounts agree, {accounts_read_over_http} of them also as the \
             server shows them"
        )
    }
}

impl Display for LatencyMs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms per request",
            self.p50, self.p95, self.p99, self.p99_9, self.max
        )
    }
}

impl Display for Outcomes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} applied, {} rejected, {} not applied, {} unknown",
            self.applied, self.rejected, self.not_applied, self.unknown
        )
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} unreadable answers, {} time-outs, {} broken requests, {} reconnects",
            self.unreadable_answers, self.timeouts, self.broken_requests, self.reconnects
        )?;
        match &self.example {
            Some(example) => write!(f, "; first answer that was not applied: {example}"),
            None => Ok(()),
        }
    }
}

impl Display for DatabaseWork {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} commits", self.commits)?;
        if let Some(transfers) = self.transfers_per_commit {
            write!(f, ", {transfers:.1} transfers per commit")?;
        }
        if let Some(bytes) = self.cluster_wal_bytes_per_transfer {
            write!(f, ", {bytes:.0} bytes of WAL per transfer (whole cluster)")?;
        }
        write!(f, ", {} deadlocks (counters may lag by 1 s)", self.deadlocks)
    }
}
