//! The report as a table for people.

mod parts;

use std::fmt::{self, Display, Formatter};

use crate::cpu::Measured;
use crate::report::{Report, Run};

/// A line with a name.
struct Rows<'a, 'b>(&'a mut Formatter<'b>);

impl Rows<'_, '_> {
    fn row(&mut self, name: &str, value: impl Display) -> fmt::Result {
        writeln!(self.0, "{name:<16} {value}")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rows = Rows(f);
        self.what_was_run(&mut rows)?;
        rows.row("throughput", &self.throughput)?;
        rows.row("latency", &self.latency_ms)?;
        if self.latency_by_kind.len() > 1 {
            for (kind, one) in &self.latency_by_kind {
                let count = format_args!("{} requests, {}", one.requests, one.latency_ms);
                rows.row(&format!("  {kind}"), count)?;
            }
        }
        rows.row("outcomes", &self.outcomes)?;
        if self.reads.answered + self.reads.refused > 0 {
            let reads = &self.reads;
            rows.row(
                "reads",
                format_args!("{} answered, {} refused", reads.answered, reads.refused),
            )?;
        }
        rows.row("trouble", &self.trouble)?;
        self.what_it_took(&mut rows)?;
        rows.row("money", &self.money)
    }
}

impl Report {
    fn what_was_run(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let Self { machine, postgres, workload, .. } = self;
        rows.row("machine", format_args!("{} cores, {}", machine.cores, machine.cpu_model))?;
        rows.row("PostgreSQL", &postgres.server_version)?;
        rows.row("settings", postgres)?;
        if !self.durable {
            let off = postgres.not_durable().join(", ");
            let warning = format_args!("off: {off}; a crash can lose applied transfers");
            rows.row("NOT DURABLE", warning)?;
        }
        rows.row("arrivals", &workload.label)?;
        if let Some(schedule) = &self.open_loop {
            rows.row("schedule", schedule)?;
        }
        rows.row("workload", workload)?;
        let Run { hot_accounts, accounts, ledger, seed, .. } = workload;
        rows.row(
            "accounts",
            format_args!("{hot_accounts} hot, {accounts} others, ledger {ledger}, seed {seed}"),
        )
    }

    fn what_it_took(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let database = &self.database;
        rows.row("database", database)?;
        let each = |measured| Rounded(measured, 4, "per transfer");
        let seconds = |measured| Rounded(measured, 2, "s");
        rows.row("WAL fsyncs", each(&database.wal_fsyncs_per_transfer))?;
        rows.row("WAL records", each(&database.wal_records_per_transfer))?;
        rows.row("WAL page images", each(&database.wal_full_page_images_per_transfer))?;
        rows.row(
            "lock waits",
            Rounded(&database.sampled_lock_wait_ms_per_transfer, 4, "ms per transfer (sampled)"),
        )?;
        rows.row("checkpoints", Rounded(&database.checkpoints, 0, "in the window"))?;
        rows.row("autovacuums", Rounded(&database.autovacuum_runs, 0, "ended in the window"))?;
        rows.row("backend CPU", Rounded(&self.backend_cpu_us_per_transfer, 1, "µs per transfer"))?;
        rows.row("generator CPU", seconds(&self.client_cpu_seconds))?;
        rows.row("server CPU", seconds(&self.server_cpu_seconds))?;
        rows.row("lanes CPU", seconds(&self.lane_cpu_seconds))?;
        rows.row("PostgreSQL CPU", seconds(&self.database_cpu_seconds))
    }
}

/// A figure with so many digits behind the point, and its unit.
struct Rounded<'a>(&'a Measured, usize, &'a str);

impl Display for Rounded<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(measured, digits, unit) = self;
        match measured {
            Measured::Value(value) => write!(f, "{value:.digits$} {unit}"),
            Measured::NotMeasured(reason) => write!(f, "not measured ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::report::tests::report;
    use crate::workload::{Arrivals, OpenLoop};

    fn assert_shows(table: &str, parts: &[&str]) {
        for part in parts {
            assert!(table.contains(part), "{part} is missing in:\n{table}");
        }
    }

    #[test]
    fn the_table_names_every_figure_with_its_unit() {
        let table = report(None).table();
        let parts = [
            "closed loop (latency from sending)",
            "hot, 64 connections, 1 transfers per request",
            "100 transfers/s applied, 100 requests/s",
            "p50 500.22 ms, p95 950.27 ms, p99 990.21 ms, p99.9 999.42 ms, max 1000.45 ms",
            "synchronous_commit=on",
            "100 commits, 10.0 transfers per commit, 150 bytes of WAL per transfer (whole cluster)",
            "WAL fsyncs       150.0000 per transfer",
            "500.0 µs per transfer",
            "PostgreSQL CPU   1.50 s",
            "not measured (no process id)",
            "5000 acknowledged, 5000 found in the balances, 0 unknown",
            "110 accounts agree, 10 of them also as the server shows them",
        ];
        assert_shows(&table, &parts);
        assert!(!table.contains("NOT DURABLE") && !table.contains("schedule"));
    }

    #[test]
    fn an_open_loop_is_labelled_and_says_when_it_fell_behind() {
        let open_loop = OpenLoop { rate: 105.0, arrivals: Arrivals::Poisson };
        let parts = [
            "open loop (poisson, 105 requests/s; latency from the intended start)",
            "105 requests/s offered, 100 achieved, at most 40 waiting to be sent",
            "30 NOT SENT by the end, then 0.500 s late",
        ];
        assert_shows(&report(Some(open_loop)).table(), &parts);
    }

    #[test]
    fn a_report_without_durability_says_so() {
        let mut report = report(None);
        report.durable = false;
        report.postgres.fsync = "off".into();
        assert!(report.table().contains("NOT DURABLE      off: fsync; a crash can lose"));
    }
}
