//! Who is compared, and under which conditions.

use super::plan::STANDBY_ROUND_TRIP_MS;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Transfers in one call of those who send arrays, and rows in one statement of the floor.
pub(super) const BATCH: usize = 1000;

/// A way to bring transfers into PostgreSQL.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// TPC-B as pgbench ships it
    Tpcb,
    /// TPC-B as one plpgsql function a transaction
    TpcbFunction,
    /// Transfers by SELECT … FOR UPDATE in a transaction of the client
    ForUpdate,
    /// Giro over HTTP, one transfer a request
    Giro,
    /// Giro over HTTP, --bulk transfers a request
    GiroBulk,
    /// Giro over HTTP, 1,000 transfers a request
    GiroLargeBulk,
    /// TPC-B as one function over arrays of 1,000, called by one session
    TpcbArrays,
    /// Giro's array function called by one session with 1,000 transfers
    GiroFunction,
    /// The same with one transfer a call
    GiroCall,
    /// The bare INSERT of the rows that a transfer leaves behind, 1,000 a statement, with all indexes
    Insert,
    /// The same with the primary key alone
    InsertPk,
    /// COPY of these rows, 1,000 a commit, with all indexes
    Copy,
    /// The bare UPDATE of the accounts of 1,000 transfers a statement
    Update,
}

/// How a contender is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    Pgbench,
    Giro,
    /// One session of this program.
    Session,
}

impl Contender {
    pub(super) fn driver(self) -> Driver {
        match self {
            Self::Tpcb | Self::TpcbFunction | Self::ForUpdate => Driver::Pgbench,
            Self::Giro | Self::GiroBulk | Self::GiroLargeBulk => Driver::Giro,
            _ => Driver::Session,
        }
    }

    /// Whether it is measured under conditions other than the first.
    pub(super) fn under_every_condition(self) -> bool {
        self.driver() != Driver::Session || matches!(self, Self::TpcbArrays | Self::GiroFunction)
    }

    /// Connections for requests that come by themselves: with them it is about as fast as it can be, and no slower
    /// because they are many.
    pub(super) fn open_loop_clients(self) -> u32 {
        match self.driver() {
            Driver::Pgbench => 16,
            Driver::Giro => 256,
            Driver::Session => 1,
        }
    }

    /// Transfers in a request over HTTP, where `bulk` is what was asked for.
    pub(super) fn transfers_per_request(self, bulk: u32) -> u32 {
        match self {
            Self::GiroBulk => bulk,
            Self::GiroLargeBulk => BATCH as u32,
            _ => 1,
        }
    }

    /// As on the command line and in the raw file.
    pub fn name(self) -> String {
        self.to_possible_value().expect("all can be chosen").get_name().to_owned()
    }

    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Tpcb => "TPC-B, pgbench",
            Self::TpcbFunction => "TPC-B, one function",
            Self::ForUpdate => "SELECT FOR UPDATE",
            Self::Giro => "Giro",
            Self::GiroBulk => "Giro, bulks",
            Self::GiroLargeBulk => "Giro, bulks of 1,000",
            Self::TpcbArrays => "TPC-B, arrays of 1,000",
            Self::GiroFunction => "Giro's function, 1,000 a call",
            Self::GiroCall => "Giro's function, 1 a call",
            Self::Insert => "bare INSERT, all indexes",
            Self::InsertPk => "bare INSERT, key alone",
            Self::Copy => "COPY, all indexes",
            Self::Update => "bare UPDATE of the accounts",
        }
    }
}

/// What is the same for all contenders of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// Round trip between whoever calls PostgreSQL and PostgreSQL, in milliseconds; 0 without a proxy.
    pub delay_ms: u32,
    /// With a synchronous standby.
    pub standby: bool,
    /// Contended rows: branches of TPC-B, accounts that are debited elsewhere.
    pub rows: u64,
}

impl Condition {
    /// For people; what is as in the first condition is left out.
    pub(super) fn title(self) -> String {
        match self {
            Self { delay_ms: 0, standby: false, rows } => {
                format!("{} contended rows", thousands(rows))
            }
            Self { delay_ms, standby: false, .. } => format!("{delay_ms} ms to the database"),
            Self { .. } => format!("a synchronous standby {STANDBY_ROUND_TRIP_MS} ms away"),
        }
    }
}

/// What is measured at once.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Cell {
    /// Who.
    pub contender: Contender,
    /// Connections at the same time.
    pub clients: u32,
    /// Under which condition.
    #[serde(flatten)]
    pub condition: Condition,
    /// Requests come at this part of the contender's highest throughput of the same round, whether or not those
    /// before are answered. Nothing: each client sends its next when its last is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of_peak: Option<f64>,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { contender, clients, condition, part_of_peak } = self;
        write!(f, "{} with {clients} clients", contender.name())?;
        if let Some(part) = part_of_peak {
            write!(f, " at {:.0} % of its peak", part * 100.0)?;
        }
        write!(f, ", {} contended rows", thousands(condition.rows))?;
        if condition.delay_ms > 0 {
            write!(f, ", {} ms to the database", condition.delay_ms)?;
        }
        if condition.standby {
            write!(f, ", with a standby")?;
        }
        Ok(())
    }
}

/// A whole number with commas.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
