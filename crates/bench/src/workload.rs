//! Which requests are sent, and when: the workloads, and the open loop.

use std::fmt;

use serde::Serialize;

/// Which requests are sent, and between which accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// A few hot accounts are debited, many others are credited at random.
    #[default]
    Hot,
    /// Both sides at random among all accounts.
    Uniform,
    /// Both sides by a Zipf law over all accounts.
    Zipf,
    /// One account is debited by half of all transfers; the others as in `uniform`.
    Pareto,
    /// Holds between the accounts of `hot`, and posts and voids of them.
    Holds,
    /// Linked chains of 2 to 10 transfers between the accounts of `hot`.
    Chains,
    /// 80 % reads, 15 % single transfers and 5 % bulks of 100, of the accounts of `hot`.
    Mixed,
}

impl Workload {
    /// All workloads.
    pub const ALL: [Self; 7] = [
        Self::Hot,
        Self::Uniform,
        Self::Zipf,
        Self::Pareto,
        Self::Holds,
        Self::Chains,
        Self::Mixed,
    ];

    /// Its name, as in options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Pareto => "pareto",
            Self::Holds => "holds",
            Self::Chains => "chains",
            Self::Mixed => "mixed",
        }
    }

    /// What it sends, in a line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Hot => "few accounts debited, all others credited at random",
            Self::Uniform => "both sides at random among all accounts",
            Self::Zipf => "both sides by a Zipf law (s = 0.99) over all accounts",
            Self::Pareto => "half of all transfers debit one account, the others as in uniform",
            Self::Holds => "half holds, half posts and voids of them, between the accounts of hot",
            Self::Chains => "linked chains of 2 to 10 transfers between the accounts of hot",
            Self::Mixed => "80 % reads, 15 % single transfers, 5 % bulks of 100, accounts of hot",
        }
    }

    /// Whether the number of hot accounts can be chosen.
    pub(crate) fn has_hot_accounts(self) -> bool {
        matches!(self, Self::Hot | Self::Holds | Self::Chains | Self::Mixed)
    }

    /// The most transfers in one request, where that cannot be chosen.
    pub(crate) fn largest_request(self) -> Option<usize> {
        match self {
            Self::Chains => Some(LONGEST_CHAIN),
            Self::Mixed => Some(MIXED_BULK),
            _ => None,
        }
    }
}

/// The most transfers in a chain of `chains`.
pub(crate) const LONGEST_CHAIN: usize = 10;
/// Transfers in a bulk of `mixed`.
pub(crate) const MIXED_BULK: usize = 100;

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Requests that arrive by a schedule, whether or not earlier ones have been answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OpenLoop {
    /// Requests per second, above 0 and at most 1,000,000.
    pub rate: f64,
    /// How they are spaced.
    pub arrivals: Arrivals,
}

/// How the arrivals of an open loop are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Independent of each other: exponential gaps, as those of many callers.
    #[default]
    Poisson,
    /// Equal gaps.
    Constant,
}

impl Arrivals {
    /// Both spacings.
    pub const ALL: [Self; 2] = [Self::Poisson, Self::Constant];

    /// Its name, as in options and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Constant => "constant",
        }
    }

    /// What it means, in a line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Poisson => "exponential gaps, as those of many independent callers",
            Self::Constant => "equal gaps",
        }
    }
}
