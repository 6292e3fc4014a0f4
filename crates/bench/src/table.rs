//! The report as a table for people.

use std::fmt::{self, Display, Formatter};

use crate::cpu::Measured;
use crate::outcome::Outcomes;
use crate::report::{DatabaseWork, LatencyMs, Report, Trouble, Workload};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: &dyn Display| writeln!(f, "{name:<16} {value}");
        row("machine", &format_args!("{} cores, {}", self.machine.cores, self.machine.cpu_model))?;
        row("PostgreSQL", &self.postgres.server_version)?;
        row("settings", &self.postgres)?;
        if !self.durable {
            let off = self.postgres.not_durable().join(", ");
            row("NOT DURABLE", &format_args!("off: {off}; a crash can lose applied transfers"))?;
        }
        let rule = "closed loop: each connection sends its next request when the last is answered";
        row("arrivals", &rule)?;
        row("workload", &self.workload)?;
        row(
            "accounts",
            &format_args!(
                "{} hot (debited), {} cold (credited), ledger {}, seed {}",
                self.workload.hot_accounts,
                self.workload.accounts,
                self.workload.ledger,
                self.workload.seed
            ),
        )?;
        row(
            "throughput",
            &format_args!(
                "{:.0} transfers/s applied, {:.0} requests/s",
                self.throughput.transfers_per_second, self.throughput.requests_per_second
            ),
        )?;
        row("latency", &self.latency_ms)?;
        row("outcomes", &self.outcomes)?;
        row("trouble", &self.trouble)?;
        row("database", &self.database)?;
        row("backend CPU", &WithUnit(&self.backend_cpu_us_per_transfer, "µs per transfer"))?;
        row("generator CPU", &WithUnit(&self.client_cpu_seconds, "s"))?;
        row("server CPU", &WithUnit(&self.server_cpu_seconds, "s"))?;
        row(
            "money",
            &format_args!(
                "{} acknowledged, {} found in the balances, {} unknown",
                self.money.acknowledged, self.money.found, self.money.unknown
            ),
        )
    }
}

impl Display for Workload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections, {} transfers per request, {:.1} s measured after {:.1} s of warm-up",
            self.connections,
            self.transfers_per_request,
            self.measured_seconds,
            self.warmup_seconds,
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

struct WithUnit<'a>(&'a Measured, &'static str);

impl Display for WithUnit<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Measured::Value(value) => write!(f, "{value:.1} {}", self.1),
            Measured::NotMeasured(reason) => write!(f, "not measured ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::report;

    #[test]
    fn the_table_names_every_figure_with_its_unit() {
        let table = report().table();
        for part in [
            "closed loop: each connection sends its next request when the last is answered",
            "100 transfers/s applied, 100 requests/s",
            "p50 500.22 ms, p95 950.27 ms, p99 990.21 ms, p99.9 999.42 ms, max 1000.45 ms",
            "synchronous_commit=on",
            "100 commits, 10.0 transfers per commit, 100 bytes of WAL per transfer (whole cluster)",
            "500.0 µs per transfer",
            "not measured (no process id)",
            "5000 acknowledged, 5000 found in the balances, 0 unknown",
        ] {
            assert!(table.contains(part), "{part} is missing in:\n{table}");
        }
        assert!(!table.contains("NOT DURABLE"));
    }

    #[test]
    fn a_report_without_durability_says_so() {
        let mut report = report();
        report.durable = false;
        report.postgres.fsync = "off".into();
        assert!(report.table().contains("NOT DURABLE      off: fsync; a crash can lose"));
    }
}
