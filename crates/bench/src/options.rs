//! What to run, and against what.

use std::time::Duration;

use crate::BenchError;
use crate::client::Target;

/// The parameters of one run. [`Options::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base URL of the server, such as `http://127.0.0.1:8080`. Plain HTTP only.
    pub url: String,
    /// Connection string of the server's database. Settings and statistics are read there.
    pub database_url: String,
    /// HTTP connections, each with one request under way.
    pub connections: usize,
    /// Length of the measured window.
    pub duration: Duration,
    /// Load before the measured window; it is checked but not measured. May be zero.
    pub warmup: Duration,
    /// Accounts that are debited.
    pub hot_accounts: u64,
    /// Accounts that are credited.
    pub accounts: u64,
    /// 0 or 1: single transfers through `POST /transfer`. More: that many transfers in each
    /// `POST /transfers`.
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
}

impl Options {
    /// Default options for the server at `url` with the database at `database_url`.
    #[must_use]
    pub fn new(url: impl Into<String>, database_url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database_url: database_url.into(),
            connections: 64,
            duration: Duration::from_secs(30),
            warmup: Duration::from_secs(5),
            hot_accounts: 10,
            accounts: 1_000_000,
            bulk: 0,
            max_items: 1000,
            ledger: 1,
            seed: 1,
            request_timeout: Duration::from_secs(30),
            server_pid: None,
        }
    }

    /// Checks every option and parses the URL.
    pub(crate) fn validate(&self) -> Result<Target, BenchError> {
        require(self.connections > 0, "connections", "at least 1")?;
        require(!self.duration.is_zero(), "duration", "longer than zero")?;
        require(self.hot_accounts > 0, "hot_accounts", "at least 1")?;
        require(self.accounts > 0, "accounts", "at least 1")?;
        require(self.max_items > 0, "max_items", "at least 1")?;
        require(!self.request_timeout.is_zero(), "request_timeout", "longer than zero")?;
        require(
            self.bulk <= self.max_items,
            "bulk",
            &format!(
                "at most {}, the server's batch.max_items; {} is too many",
                self.max_items, self.bulk
            ),
        )?;
        Target::parse(&self.url)
    }

    /// Whether `POST /transfers` is used.
    pub(crate) fn is_bulk(&self) -> bool {
        self.bulk > 1
    }

    /// Transfers in one request.
    pub(crate) fn transfers_per_request(&self) -> usize {
        self.bulk.max(1)
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
        assert_eq!(refused(|o| o.hot_accounts = 0), "hot_accounts: must be at least 1");
        assert_eq!(refused(|o| o.duration = Duration::ZERO), "duration: must be longer than zero");
        assert_eq!(
            refused(|o| o.bulk = 1001),
            "bulk: must be at most 1000, the server's batch.max_items; 1001 is too many"
        );
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
