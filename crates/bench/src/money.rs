//! The check of the balances.

use serde::Serialize;

use crate::BenchError;

/// The balances after the run against what was acknowledged, warm-up included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Money {
    /// Sum of the amounts answered `applied`.
    pub acknowledged: u128,
    /// Sum of the amounts whose outcome is not known.
    pub unknown: u128,
    /// By how much `debits_posted` of the hot accounts increased.
    pub found: u128,
}

impl Money {
    /// Checks that all that was acknowledged was debited, and nothing that was not sent.
    pub(crate) fn check(
        acknowledged: u128,
        unknown: u128,
        before: u128,
        after: u128,
    ) -> Result<Self, BenchError> {
        match after.checked_sub(before) {
            Some(found) if (acknowledged..=acknowledged + unknown).contains(&found) => {
                Ok(Self { acknowledged, unknown, found })
            }
            _ => {
                let found = (after as i128).wrapping_sub(before as i128);
                Err(BenchError::MoneyLost { acknowledged, unknown, found })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_must_agree_with_what_was_acknowledged() {
        assert!(Money::check(50, 0, 100, 150).is_ok());
        assert!(Money::check(50, 7, 100, 157).is_ok());
        for (after, found) in [(149, 49), (158, 58), (90, -10)] {
            match Money::check(50, 7, 100, after) {
                Err(BenchError::MoneyLost { acknowledged: 50, unknown: 7, found: f }) => {
                    assert_eq!(f, found);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
