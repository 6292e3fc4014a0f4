//! When requests are to be sent in an open loop.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;

use crate::workload::{Arrivals, OpenLoop};

/// The intended starts, since the start of the load, in order and without an end. Clones and
/// schedules of the same seed are the same.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    open_loop: OpenLoop,
    random: SmallRng,
    number: u64,
    seconds: f64,
}

impl Schedule {
    pub(crate) fn new(open_loop: OpenLoop, seed: u64) -> Self {
        Self { open_loop, random: SmallRng::seed_from_u64(seed), number: 0, seconds: 0.0 }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.number += 1;
        let OpenLoop { rate, arrivals } = self.open_loop;
        self.seconds = match arrivals {
            Arrivals::Poisson => self.seconds + self.random.sample::<f64, _>(Exp1) / rate,
            // Not a sum, whose error would grow.
            Arrivals::Constant => self.number as f64 / rate,
        };
        Some(Duration::from_secs_f64(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(arrivals: Arrivals) -> Vec<f64> {
        let schedule = Schedule::new(OpenLoop { rate: 4000.0, arrivals }, 7);
        let starts: Vec<f64> = schedule.take(100_000).map(|start| start.as_secs_f64()).collect();
        starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn constant_arrivals_have_equal_gaps_that_do_not_drift() {
        assert!(gaps(Arrivals::Constant).iter().all(|gap| (gap - 0.000_25).abs() < 1e-8));
        let open_loop = OpenLoop { rate: 3.0, arrivals: Arrivals::Constant };
        let hour = Schedule::new(open_loop, 1).nth(3 * 3600 - 1).expect("endless");
        assert_eq!(hour, Duration::from_secs(3600));
    }

    #[test]
    fn poisson_arrivals_have_exponential_gaps() {
        let gaps = gaps(Arrivals::Poisson);
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        assert!((mean * 4000.0 - 1.0).abs() < 0.02, "{mean}");
        // The standard deviation of an exponential law is its mean, and 1/e of it is beyond that.
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{variance}");
        let beyond = gaps.iter().filter(|gap| **gap > mean).count() as f64 / count;
        assert!((beyond - (-1_f64).exp()).abs() < 0.01, "{beyond}");
    }

    #[test]
    fn a_seed_has_one_schedule() {
        let open_loop = OpenLoop { rate: 10.0, arrivals: Arrivals::Poisson };
        let first = |seed| Schedule::new(open_loop, seed).take(100).collect::<Vec<_>>();
        assert_eq!(first(3), first(3));
        assert_ne!(first(3), first(4));
    }
}
