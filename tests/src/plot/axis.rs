//! How numbers become places, and which of them have a line of the grid.

use std::ops::Range;

/// How numbers become places.
pub(crate) struct Axis {
    pub(crate) range: Range<f64>,
    pub(crate) logarithmic: bool,
    /// Where there is a line of the grid, and what stands beside it.
    pub(crate) ticks: Vec<(f64, String)>,
    pub(crate) caption: String,
}

impl Axis {
    /// Powers of ten around these values, with 2 and 5 between them where they are few.
    pub(crate) fn decades(caption: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().filter(|value| *value > 0.0).collect();
        let low = values.iter().copied().fold(f64::MAX, f64::min).clamp(1e-6, 1e9);
        let high = values.iter().copied().fold(low, f64::max);
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let steps: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all: Vec<f64> = (first..=last)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .collect();
        let from = all.iter().copied().filter(|tick| *tick <= low * 1.0001).fold(low, f64::min);
        let below: Vec<_> = all.iter().copied().filter(|tick| *tick <= low * 1.0001).collect();
        let from = below.last().copied().unwrap_or(from);
        let to = all.iter().copied().find(|tick| *tick >= high * 0.9999).unwrap_or(high);
        let to = if to > from { to } else { from * 10.0 };
        let inside = |tick: &f64| (from * 0.9999..=to * 1.0001).contains(tick);
        let ticks = all.into_iter().filter(inside).map(|tick| (tick, number(tick))).collect();
        Self { range: from..to, logarithmic: true, ticks, caption: caption.into() }
    }

    /// Exactly these values have a tick.
    pub(crate) fn values(caption: &str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        values.dedup();
        let low = values.first().copied().unwrap_or(1.0);
        let high = values.last().copied().filter(|high| *high > low).unwrap_or(low * 2.0);
        let ticks = values.into_iter().map(|value| (value, number(value))).collect();
        Self { range: low..high, logarithmic: true, ticks, caption: caption.into() }
    }

    /// From 0, in even steps.
    pub(crate) fn from_zero(caption: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let high = values.into_iter().fold(0.0, f64::max).max(1e-9);
        let power = 10f64.powf((high / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = step.into_iter().find(|step| high / step <= 6.0).unwrap_or(power * 10.0);
        let count = (high / step).ceil().max(1.0) as i32;
        let ticks = (0..=count).map(|tick| f64::from(tick) * step);
        let ticks = ticks.map(|tick| (tick, number(tick))).collect();
        let range = 0.0..f64::from(count) * step;
        Self { range, logarithmic: false, ticks, caption: caption.into() }
    }

    /// From 0 at the beginning to 1 at the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        match self.logarithmic {
            true => (value.max(1e-12) / start).ln() / (end / start).ln(),
            false => (value - start) / (end - start),
        }
    }
}

/// As short as it can be read: 0.5, 20, 5,000, 50 million.
pub(crate) fn number(value: f64) -> String {
    match value {
        large if large >= 1e6 => format!("{} million", short(large / 1e6)),
        large if large >= 1000.0 => {
            let whole = large.round() as u64;
            format!("{},{:03}", whole / 1000, whole % 1000)
        }
        _ => short(value),
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_its_values_between_readable_ticks() {
        let axis = Axis::decades("", [230.0, 61_000.0]);
        let names: Vec<_> = axis.ticks.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["100", "1,000", "10,000", "100,000"]);
        let axis = Axis::decades("", [3.0, 40.0]);
        let names: Vec<_> = axis.ticks.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["2", "5", "10", "20", "50"]);
        let axis = Axis::from_zero("", [37.0]);
        let names: Vec<_> = axis.ticks.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["0", "10", "20", "30", "40"]);
        assert_eq!(axis.place(20.0), 0.5);
    }
}
