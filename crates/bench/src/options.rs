//! What to run, and against what.

use std::path::PathBuf;
use std::time::Duration;

use crate::BenchError;
use crate::client::Target;
use crate::workload::{OpenLoop, Workload};

const MOST_ACCOUNTS: u64 = 100_000_000;
const HIGHEST_RATE: f64 = 1e6;
const HOT_ACCOUNTS: u32 = 10;

/// The parameters of one run. [`Options::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base URL of the server, such as `http://127.0.0.1:8080`. Plain HTTP only.
    pub url: String,
    /// Connection string of the server's database. Settings and statistics are read there.
    pub database_url: String,
    /// Which requests are sent, and between which accounts.
    pub workload: Workload,
    /// When they are sent. Nothing: each connection sends when its last request is answered.
    pub open_loop: Option<OpenLoop>,
    /// HTTP connections, each with one request under way.
    pub connections: usize,
    /// Length of the measured window.
    pub duration: Duration,
    /// Load before the measured window; it is checked but not measured. May be zero.
    pub warmup: Duration,
    /// Accounts that are debited by `hot`, `holds`, `chains` and `mixed`: 10 when not given. For
    /// other workloads not to be given; `pareto` has one.
    pub hot_accounts: Option<u64>,
    /// All other accounts. Each takes about 100 bytes of memory.
    pub accounts: u64,
    /// 1: single transfers through `POST /transfer`. More: that many transfers in each
    /// `POST /transfers`. Not for `chains` and `mixed`, which have sizes of their own.
    pub bulk: usize,
    /// The server's `batch.max_items`: the most items in one request. Bounds `bulk`, and is the
    /// size of the requests that create accounts.
    pub max_items: usize,
    /// The ledger of all accounts and transfers.
    pub ledger: u32,
    /// Decides the ids of the accounts, and the order in which they are used. A second run with
    /// the same seed finds the accounts of the first.
    pub seed: u64,
    /// How long one request may take before it counts as timed out.
    pub request_timeout: Duration,
    /// Process id of the server, when it runs on this machine: its CPU time is reported.
    pub server_pid: Option<u32>,
    /// A file for the latencies of each second, as an HdrHistogram interval log. It is emptied.
    pub hdr_log: Option<PathBuf>,
    /// A file for the samples of each second, one JSON object a line. It is emptied.
    pub samples: Option<PathBuf>,
}

impl Options {
    /// Default options for the server at `url` with the database at `database_url`.
    #[must_use]
    pub fn new(url: impl Into<String>, database_url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database_url: database_url.into(),
            workload: Workload::default(),
            open_loop: None,
            connections: 64,
            duration: Duration::from_secs(30),
            warmup: Duration::from_secs(5),
            hot_accounts: None,
            accounts: 1_000_000,
            bulk: 1,
            max_items: 1000,
            ledger: 1,
            seed: 1,
            request_timeout: Duration::from_secs(30),
            server_pid: None,
            hdr_log: None,
            samples: None,
        }
    }

    /// Checks every option and parses the URL.
    pub(crate) fn validate(&self) -> Result<Target, BenchError> {
        require(self.connections > 0, "connections", "at least 1")?;
        require(!self.duration.is_zero(), "duration", "longer than zero")?;
        require(self.max_items > 0, "max_items", "at least 1")?;
        require(!self.request_timeout.is_zero(), "request_timeout", "longer than zero")?;
        let rate = self.open_loop.map_or(1.0, |open_loop| open_loop.rate);
        require(
            rate > 0.0 && rate <= HIGHEST_RATE,
            "rate",
            &format!("above 0 and at most {HIGHEST_RATE}"),
        )?;
        self.validate_accounts()?;
        self.validate_size()?;
        Target::parse(&self.url)
    }

    fn validate_accounts(&self) -> Result<(), BenchError> {
        let Self { workload, hot_accounts, accounts, .. } = *self;
        if workload.has_hot_accounts() {
            require(hot_accounts != Some(0), "hot_accounts", "at least 1")?;
            require(accounts > 0, "accounts", "at least 1")?;
        } else {
            let absent = format!("absent: the workload {workload} takes its own");
            require(hot_accounts.is_none(), "hot_accounts", &absent)?;
            let two = format!("at least 2 for the workload {workload}");
            require(accounts > 1, "accounts", &two)?;
        }
        let all = accounts.saturating_add(hot_accounts.unwrap_or_default());
        require(all <= MOST_ACCOUNTS, "accounts", &format!("at most {MOST_ACCOUNTS} in all"))
    }

    fn validate_size(&self) -> Result<(), BenchError> {
        let Self { workload, bulk, max_items, .. } = *self;
        let of_server = format!("at most {max_items}, the server's batch.max_items");
        require(bulk > 0, "bulk", "at least 1")?;
        require(bulk <= max_items, "bulk", &format!("{of_server}; {bulk} is too many"))?;
        if let Some(largest) = workload.largest_request() {
            let absent = format!("1: the workload {workload} has sizes of its own");
            require(bulk <= 1, "bulk", &absent)?;
            let sends =
                format!("another one: it sends {largest} transfers in a request, {of_server}");
            require(largest <= max_items, "workload", &sends)?;
        }
        Ok(())
    }

    /// Hot accounts of the workload, and its other accounts.
    pub(crate) fn account_counts(&self) -> (u32, u32) {
        let hot = match self.workload {
            Workload::Pareto => 1,
            workload if workload.has_hot_accounts() => {
                self.hot_accounts.map_or(HOT_ACCOUNTS, |hot| hot as u32)
            }
            _ => 0,
        };
        (hot, self.accounts as u32)
    }

    /// How requests follow each other, and what latency counts from.
    pub(crate) fn loop_label(&self) -> String {
        match self.open_loop {
            None => "closed loop (latency from sending)".into(),
            Some(OpenLoop { rate, arrivals }) => format!(
                "open loop ({}, {rate} requests/s; latency from the intended start)",
                arrivals.name()
            ),
        }
    }

    /// The most transfers in one request.
    pub(crate) fn transfers_per_request(&self) -> usize {
        self.workload.largest_request().unwrap_or(self.bulk)
    }
}

fn require(fits: bool, option: &'static str, bound: &str) -> Result<(), BenchError> {
    if fits {
        Ok(())
    } else {
        Err(BenchError::Option { option, problem: format!("must be {bound}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Arrivals;

    fn refused(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::new("http://127.0.0.1:8080", "");
        change(&mut options);
        options.validate().expect_err("must be refused").to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        Options::new("http://127.0.0.1:8080", "").validate().expect("valid");
    }

    #[test]
    fn unusable_options_are_named() {
        assert_eq!(refused(|o| o.connections = 0), "connections: must be at least 1");
        assert_eq!(refused(|o| o.accounts = 0), "accounts: must be at least 1");
        assert_eq!(refused(|o| o.hot_accounts = Some(0)), "hot_accounts: must be at least 1");
        assert_eq!(refused(|o| o.duration = Duration::ZERO), "duration: must be longer than zero");
        assert_eq!(
            refused(|o| o.bulk = 1001),
            "bulk: must be at most 1000, the server's batch.max_items; 1001 is too many"
        );
    }

    #[test]
    fn combinations_without_a_meaning_are_refused() {
        let with = |workload| {
            move |options: &mut Options| {
                options.workload = workload;
                options.bulk = 7;
                options.hot_accounts = Some(3);
            }
        };
        assert_eq!(
            refused(with(Workload::Chains)),
            "bulk: must be 1: the workload chains has sizes of its own"
        );
        assert_eq!(
            refused(with(Workload::Zipf)),
            "hot_accounts: must be absent: the workload zipf takes its own"
        );
        assert_eq!(
            refused(|o| (o.workload, o.accounts) = (Workload::Uniform, 1)),
            "accounts: must be at least 2 for the workload uniform"
        );
        assert_eq!(
            refused(|o| (o.workload, o.max_items) = (Workload::Mixed, 50)),
            "workload: must be another one: it sends 100 transfers in a request, at most 50, the \
             server's batch.max_items"
        );
        assert!(refused(|o| o.accounts = u64::MAX).starts_with("accounts: must be at most"));
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            let open_loop = Some(OpenLoop { rate, arrivals: Arrivals::Poisson });
            assert!(refused(|o| o.open_loop = open_loop).starts_with("rate: must be"), "{rate}");
        }
    }

    #[test]
    fn only_a_plain_http_base_is_accepted() {
        for url in
            ["https://localhost:8080", "localhost:8080", "http://localhost/v1", "", "http://h/?a"]
        {
            assert!(refused(|o| o.url = url.into()).starts_with("url: "), "{url}");
        }
    }
}
