//! The check of the balances.

use serde::Serialize;

use crate::BenchError;
use crate::accounts::Accounts;
use crate::books::{BALANCES, Balances, Books};

/// The balances after the run against what was acknowledged, warm-up included.
///
/// Every balance of every account that the run could touch must have changed by what the server
/// acknowledged for that account: sums would not show money on a wrong account. Transfers with an
/// unknown outcome widen that to a range, for their accounts only. What was debited must equal
/// what was credited whatever is unknown. All accounts are read in one snapshot from the database,
/// where losses would be; some also from the server, so that both are seen to say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Money {
    /// Sum of the amounts answered `applied`, without holds. A post counts with what it moved.
    pub acknowledged: u128,
    /// Sum of the amounts whose outcome is not known, without holds.
    pub unknown: u128,
    /// By how much `debits_posted` of all accounts increased.
    pub found: u128,
    /// By how much `debits_pending` of all accounts was acknowledged to have changed.
    pub pending_acknowledged: i128,
    /// By how much `debits_pending` of all accounts changed.
    pub pending_found: i128,
    /// Accounts of which all four balances were compared.
    pub accounts_checked: u64,
    /// Those of them that were also read from the server.
    pub accounts_read_over_http: u64,
}

/// The balances of a run's accounts, as they were read.
pub(crate) struct Readings {
    /// Of each account in the database, before the load.
    pub(crate) before: Vec<Balances>,
    /// Of each account in the database, after it.
    pub(crate) after: Vec<Balances>,
    /// Of some accounts from the server, after it, by their number.
    pub(crate) over_http: Vec<(u32, Balances)>,
}

impl Money {
    /// Checks that all that was acknowledged is in the balances, and nothing that was not sent.
    pub(crate) fn check(
        accounts: &Accounts,
        books: &Books,
        readings: &Readings,
    ) -> Result<Self, BenchError> {
        let Readings { before, after, over_http } = readings;
        let from_database =
            (0_u32..).zip(after).map(|(account, after)| (account, after, "database"));
        let from_server = over_http.iter().map(|(account, after)| (*account, after, "server"));
        let (mut wrong, mut first) = (0_u64, None);
        let mut sums = Sums::default();
        for (account, after, source) in from_database.chain(from_server) {
            let before = &before[account as usize];
            let expected = books.expected(account);
            if source == "database" {
                sums.add(before, after, &books.acknowledged(account), *expected[1].end());
            }
            for (balance, expected) in expected.into_iter().enumerate() {
                let found = after[balance] - before[balance];
                if !expected.contains(&found) {
                    wrong += 1;
                    first.get_or_insert_with(|| {
                        let (id, name) = (accounts.id(account), BALANCES[balance]);
                        let (low, high) = expected.into_inner();
                        format!(
                            "{name} of account {id} changed by {found} (read from the {source}), \
                             but between {low} and {high} was acknowledged"
                        )
                    });
                }
            }
        }
        match first {
            Some(first) => Err(BenchError::MoneyLost { wrong, first }),
            None => sums.money(after.len(), over_http.len()),
        }
    }
}

/// Sums over all accounts.
#[derive(Debug, Default)]
struct Sums {
    found: [i128; BALANCES.len()],
    acknowledged: [i128; BALANCES.len()],
    /// The most by which `debits_posted` may have increased.
    most: i128,
}

impl Sums {
    fn add(&mut self, before: &Balances, after: &Balances, acknowledged: &Balances, most: i64) {
        for balance in 0..BALANCES.len() {
            self.found[balance] += i128::from(after[balance]) - i128::from(before[balance]);
            self.acknowledged[balance] += i128::from(acknowledged[balance]);
        }
        self.most += i128::from(most);
    }

    fn money(self, checked: usize, over_http: usize) -> Result<Money, BenchError> {
        let [debits_pending, debits_posted, credits_pending, credits_posted] = self.found;
        if (debits_pending, debits_posted) != (credits_pending, credits_posted) {
            let first = format!(
                "all debits changed by {debits_pending} pending and {debits_posted} posted, all \
                 credits by {credits_pending} and {credits_posted}"
            );
            return Err(BenchError::MoneyLost { wrong: 1, first });
        }
        Ok(Money {
            acknowledged: self.acknowledged[1].unsigned_abs(),
            unknown: (self.most - self.acknowledged[1]).unsigned_abs(),
            found: debits_posted.unsigned_abs(),
            pending_acknowledged: self.acknowledged[0],
            pending_found: debits_pending,
            accounts_checked: checked as u64,
            accounts_read_over_http: over_http as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Effect;
    use crate::tests::some_accounts;

    const BEFORE: Balances = [5, 100, 5, 100];

    /// Four accounts: a transfer of 50, a hold of 20, a post of 7 of an older hold of 9, and in
    /// doubt a transfer of 3 and a void of a hold of 4, each from account 0 to another one.
    fn books() -> Books {
        let books = Books::new(4);
        let effect = |credit, pending, posted| Effect { debit: 0, credit, pending, posted };
        books.acknowledge(effect(1, 0, 50));
        books.acknowledge(effect(2, 20, 0));
        books.acknowledge(effect(3, -9, 7));
        books.doubt(effect(1, 0, 3));
        books.doubt(effect(2, -4, 0));
        books
    }

    /// The balances when what is in doubt was not applied.
    fn sound() -> Vec<Balances> {
        let changes = [[11, 57, 0, 0], [0, 0, 0, 50], [0, 0, 20, 0], [0, 0, -9, 7]];
        let changed = |change: Balances| std::array::from_fn(|at| BEFORE[at] + change[at]);
        changes.into_iter().map(changed).collect()
    }

    fn checked(after: &[Balances], over_http: &[(u32, Balances)]) -> Result<Money, String> {
        let (after, over_http) = (after.to_vec(), over_http.to_vec());
        let readings = Readings { before: vec![BEFORE; 4], after, over_http };
        Money::check(&some_accounts(0, 4), &books(), &readings).map_err(|error| error.to_string())
    }

    #[test]
    fn money_that_agrees_is_summed_up() {
        let money = checked(&sound(), &[(0, sound()[0])]).expect("agrees");
        let Money { acknowledged, unknown, found, pending_acknowledged, pending_found, .. } = money;
        assert_eq!((acknowledged, unknown, found), (57, 3, 57));
        assert_eq!((pending_acknowledged, pending_found), (11, 11));
        assert_eq!((money.accounts_checked, money.accounts_read_over_http), (4, 1));
    }

    #[test]
    fn what_is_in_doubt_may_have_been_applied() {
        let mut after = sound();
        after[0][1] += 3;
        after[1][3] += 3;
        after[0][0] -= 4;
        after[2][2] -= 4;
        let money = checked(&after, &[]).expect("agrees");
        assert_eq!((money.found, money.pending_found), (60, 7));
    }

    #[test]
    fn money_that_is_lost_made_or_moved_is_found() {
        for account in 0..4 {
            for balance in 0..4 {
                for change in [-1000, -5, 4, 1000] {
                    let mut after = sound();
                    after[account][balance] += change;
                    let error = checked(&after, &[]).expect_err("found");
                    assert!(error.starts_with("MONEY LOST: "), "{error}");
                    assert!(error.contains(BALANCES[balance]), "{error}");
                }
            }
        }
        // Sums would not show a credit that went to another account.
        let mut after = sound();
        after[1][3] -= 50;
        after[3][3] += 50;
        assert!(checked(&after, &[]).is_err());
        // Nor ranges a transfer in doubt of which one half was applied.
        let mut after = sound();
        after[0][1] += 3;
        assert!(checked(&after, &[]).expect_err("found").contains("60 posted"));
    }

    #[test]
    fn a_server_that_shows_other_balances_is_found() {
        let mut shown = sound()[2];
        shown[2] -= 5;
        let error = checked(&sound(), &[(2, shown)]).expect_err("found");
        assert!(error.contains("read from the server"), "{error}");
    }
}
