//! Values of several rounds, and numbers for people.

use super::cell::thousands;

/// A value in several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Nothing of none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&low, &high) = (values.first()?, values.last()?);
        let (half, odd) = (values.len() / 2, values.len() % 2 == 1);
        let median = if odd { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Some(Self { median, low, high })
    }

    /// The median, and the ends where there is more than one value.
    pub(super) fn text(self, number: impl Fn(f64) -> String, unit: &str) -> String {
        let [median, low, high] = [self.median, self.low, self.high].map(number);
        if low == high { median + unit } else { format!("{median}{unit} ({low}–{high})") }
    }
}

/// A whole number with commas.
pub(super) fn whole(value: f64) -> String {
    thousands(value.round() as u64)
}

/// Three digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => whole(value),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.median, spread.low, spread.high), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of([7.0, 7.0]).unwrap().text(whole, ""), "7");
        assert_eq!(Spread::of([]), None);
    }
}
