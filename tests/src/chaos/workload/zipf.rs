//! Few accounts take most of the traffic.

use fastrand::Rng;

/// Ranks from 0, of which rank `k` comes in proportion to `1 / (k + 1)^exponent`.
pub(super) struct Zipf {
    /// Up to and with each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Over so many ranks.
    pub(super) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let add = |rank: usize| {
            sum += ((rank + 1) as f64).powf(-exponent);
            sum
        };
        Self { cumulative: (0..ranks).map(add).collect() }
    }

    /// One rank.
    pub(super) fn draw(&self, random: &mut Rng) -> usize {
        let all = self.cumulative.last().copied().unwrap_or_default();
        let point = random.f64() * all;
        self.cumulative.partition_point(|up_to| *up_to <= point).min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ranks_take_most_and_every_rank_some() {
        let zipf = Zipf::new(516, 1.2);
        let mut random = Rng::with_seed(1);
        let mut drawn = vec![0_u32; 516];
        for _ in 0..200_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        let hot: u32 = drawn[..16].iter().sum();
        assert!((120_000..150_000).contains(&hot), "{hot} of 200000 on the first 16 of 516");
        let ratio = f64::from(drawn[0]) / f64::from(drawn[1]);
        assert!((2.15..2.45).contains(&ratio), "the first to the second: {ratio}, not 2^1.2");
        let (first, second) = drawn.split_at(258);
        assert!(first.iter().sum::<u32>() > second.iter().sum::<u32>());
        assert!(drawn.iter().all(|count| *count > 0), "a rank was never drawn");
    }
}
