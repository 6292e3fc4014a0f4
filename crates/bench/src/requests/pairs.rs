//! Between which accounts a transfer is made.
//!
//! Accounts are numbered: the hot ones first, then all others. A number says nothing about the
//! place of an account in the database, because ids are in no order.

use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::Zipf;

use crate::workload::Workload;

/// The exponent of the Zipf law: `ZIPFIAN_CONSTANT` of the Yahoo! Cloud Serving Benchmark.
const ZIPF_EXPONENT: f64 = 0.99;

/// Draws a debit and a credit account that are not the same.
#[derive(Debug, Clone)]
pub(crate) enum Pairs {
    /// One of the first `hot` is debited, one of the others credited.
    Hot { hot: u32, all: u32 },
    /// Any two.
    Uniform { all: u32 },
    /// Any two, the n-th of all with a probability in proportion to n^-0.99. Drawn by
    /// rejection-inversion (Hörmann and Derflinger 1996).
    Zipf(Zipf<f64>),
    /// Account 0 is debited by half of all transfers, any two others are taken by the rest.
    Pareto { all: u32 },
}

impl Pairs {
    /// Pairs of the workload among `hot` hot and `cold` other accounts.
    pub(crate) fn new(workload: Workload, hot: u32, cold: u32) -> Self {
        let all = hot + cold;
        match workload {
            Workload::Uniform => Self::Uniform { all },
            Workload::Zipf => {
                Self::Zipf(Zipf::new(f64::from(all), ZIPF_EXPONENT).expect("there are accounts"))
            }
            Workload::Pareto => Self::Pareto { all },
            Workload::Hot | Workload::Holds | Workload::Chains | Workload::Mixed => {
                Self::Hot { hot, all }
            }
        }
    }

    /// The numbers of a debit and a credit account.
    pub(crate) fn draw(&self, random: &mut SmallRng) -> (u32, u32) {
        match self {
            Self::Hot { hot, all } => {
                (random.random_range(..*hot), random.random_range(*hot..*all))
            }
            Self::Uniform { all } => different(|| random.random_range(..*all)),
            Self::Zipf(law) => different(|| random.sample(law) as u32 - 1),
            Self::Pareto { all } if random.random() => (0, random.random_range(1..*all)),
            Self::Pareto { all } => different(|| random.random_range(1..*all)),
        }
    }
}

/// Two different numbers; the second is drawn again while it is the first.
fn different(mut draw: impl FnMut() -> u32) -> (u32, u32) {
    let first = draw();
    loop {
        let second = draw();
        if second != first {
            return (first, second);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const DRAWS: u32 = 200_000;

    /// The shares of the debits and of the credits that each account got.
    fn shares(workload: Workload, hot: u32, cold: u32) -> [Vec<f64>; 2] {
        let pairs = Pairs::new(workload, hot, cold);
        let mut random = SmallRng::seed_from_u64(5);
        let mut shares = [vec![0.0; (hot + cold) as usize], vec![0.0; (hot + cold) as usize]];
        for _ in 0..DRAWS {
            let (debit, credit) = pairs.draw(&mut random);
            assert_ne!(debit, credit);
            shares[0][debit as usize] += 1.0 / f64::from(DRAWS);
            shares[1][credit as usize] += 1.0 / f64::from(DRAWS);
        }
        shares
    }

    fn near(share: f64, expected: f64) -> bool {
        (share - expected).abs() < 0.005
    }

    #[test]
    fn hot_debits_the_hot_and_credits_the_others() {
        let [debits, credits] = shares(Workload::Hot, 5, 20);
        assert!(debits[..5].iter().all(|share| near(*share, 0.2)), "{debits:?}");
        assert!(credits[5..].iter().all(|share| near(*share, 0.05)), "{credits:?}");
        assert!(debits[5..].iter().chain(&credits[..5]).all(|share| *share == 0.0));
    }

    #[test]
    fn uniform_takes_every_account_on_both_sides() {
        let [debits, credits] = shares(Workload::Uniform, 0, 20);
        assert!(debits.iter().chain(&credits).all(|share| near(*share, 0.05)));
    }

    #[test]
    fn zipf_has_the_shares_of_its_law() {
        let [debits, _] = shares(Workload::Zipf, 0, 1000);
        let sum: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-ZIPF_EXPONENT)).sum();
        for rank in [1, 2, 3, 10, 100] {
            let expected = f64::from(rank).powf(-ZIPF_EXPONENT) / sum;
            let share = debits[rank as usize - 1];
            assert!(near(share, expected), "{rank}: {share} of {expected}");
        }
    }

    #[test]
    fn pareto_has_one_account_in_half_of_all_transfers() {
        let [debits, credits] = shares(Workload::Pareto, 1, 100);
        assert!(near(debits[0], 0.5) && credits[0] == 0.0, "{} {}", debits[0], credits[0]);
        assert!(debits[1..].iter().all(|share| near(*share, 0.005)));
        assert!(credits[1..].iter().all(|share| near(*share, 0.01)));
    }

    #[test]
    fn the_fewest_accounts_are_enough() {
        for workload in Workload::ALL {
            let hot = u32::from(workload.has_hot_accounts() || workload == Workload::Pareto);
            let cold = if workload.has_hot_accounts() { 1 } else { 2 };
            let pairs = Pairs::new(workload, hot, cold);
            let (debit, credit) = pairs.draw(&mut SmallRng::seed_from_u64(1));
            assert!(debit != credit && debit.max(credit) < hot + cold, "{workload}");
        }
    }
}
