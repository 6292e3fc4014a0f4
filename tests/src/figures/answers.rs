//! What became of each request of a load.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// One request that was sent. Times are since the load began.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Of the transfer.
    pub id: u64,
    /// 0 for the first time that it was sent.
    pub attempt: u32,
    /// When it should have been sent.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// When the answer was complete, or it was clear that there is none.
    pub done: Duration,
    /// 0 without an answer.
    pub status: u16,
    /// The reason of a refusal. Without an answer: `refused` (no connection), `late` (never sent), `cut`
    /// (the connection ended), `silent` (nothing for a long time).
    pub reason: &'static str,
    /// A refusal says when to come back, as `Retry-After` and as `retry_after_ms`.
    pub tells_when: bool,
}

impl Answer {
    /// Whether the transfer was acknowledged.
    pub fn is_applied(&self) -> bool {
        self.status == 200
    }

    /// Whether it was told to come back later.
    pub fn is_shed(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// From when it was due.
    pub fn latency(&self) -> Duration {
        self.done - self.due
    }
}

/// All answers of a load, in the order in which they came.
#[derive(Debug)]
pub struct Answers {
    /// The answers.
    pub all: Vec<Answer>,
    /// What their times count from.
    pub began: Instant,
}

impl Answers {
    /// The time of something else on this clock.
    pub fn at(&self, instant: Instant) -> Duration {
        instant - self.began
    }

    /// Requests that were due from one time until another.
    pub fn due(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Answer> {
        self.all.iter().filter(move |answer| answer.due >= from && answer.due < to)
    }

    /// Transfers acknowledged a second, from one time until another.
    pub fn goodput(&self, from: Duration, to: Duration) -> f64 {
        let from_first = self.all.partition_point(|answer| answer.done < from);
        let answers = self.all[from_first..].iter().take_while(|answer| answer.done < to);
        answers.filter(|answer| answer.is_applied()).count() as f64 / (to - from).as_secs_f64()
    }

    /// When the next was acknowledged.
    pub fn first_applied_after(&self, time: Duration) -> Option<Duration> {
        self.all
            .iter()
            .find(|answer| answer.is_applied() && answer.done >= time)
            .map(|answer| answer.done)
    }

    /// From when on goodput is at this level again: the first second with it, of those that begin after
    /// `time`, that is followed by three more that hold it together.
    pub fn recovered(&self, time: Duration, level: f64) -> Option<Duration> {
        const STEP: Duration = Duration::from_millis(100);
        let second = Duration::from_secs(1);
        let end = self.all.last().map_or(Duration::ZERO, |last| last.done);
        let starts = (0..).map(|step| time + STEP * step);
        starts.take_while(|from| *from + 4 * second <= end).find(|from| {
            let first = self.goodput(*from, *from + second);
            let later = self.goodput(*from + second, *from + 4 * second);
            first >= level && later >= level
        })
    }

    /// How often each answer was given, by status and reason.
    pub fn counts(&self) -> Value {
        let mut counts = BTreeMap::<String, u64>::new();
        for answer in &self.all {
            let key = format!("{} {}", answer.status, answer.reason);
            *counts.entry(key.trim_end().to_owned()).or_default() += 1;
        }
        json!(counts)
    }
}

/// The value that this part of the values does not exceed; zero of none.
pub fn quantile(values: impl Iterator<Item = Duration>, part: f64) -> Duration {
    let mut values: Vec<_> = values.collect();
    let rank = (values.len() as f64 * part).ceil() as usize;
    if values.is_empty() {
        return Duration::ZERO;
    }
    let place = rank.clamp(1, values.len()) - 1;
    let (_, value, _) = values.select_nth_unstable(place);
    *value
}

/// The middle one; zero of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(done: Duration) -> Answer {
        let (attempt, status, reason, tells_when) = (0, 200, "", false);
        Answer { id: 1, attempt, due: done, sent: done, done, status, reason, tells_when }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values = || (1..=100).map(Duration::from_millis);
        assert_eq!(quantile(values(), 0.99), Duration::from_millis(99));
        assert_eq!(quantile(values(), 1.0), Duration::from_millis(100));
        assert_eq!(quantile(std::iter::empty(), 0.5), Duration::ZERO);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn goodput_is_back_when_it_stays() {
        let millis = Duration::from_millis;
        // 100 a second, with nothing from 2 s to 5 s but one burst of a queue at 4 s.
        let steady = (0..1000).map(|n| millis(10 * n));
        let steady = steady.filter(|at| *at < millis(2000) || *at >= millis(5000));
        let mut all: Vec<_> = steady.chain((0..200).map(|_| millis(4000))).map(applied).collect();
        all.sort_by_key(|answer| answer.done);
        let answers = Answers { all, began: Instant::now() };
        assert_eq!(answers.goodput(millis(0), millis(1000)), 100.0);
        assert_eq!(answers.recovered(millis(2000), 98.0), Some(millis(4000)));
        assert_eq!(answers.recovered(millis(4100), 98.0), Some(millis(5000)));
        assert_eq!(answers.first_applied_after(millis(2000)), Some(millis(4000)));
        assert_eq!(answers.recovered(millis(4000), 101.0), None);
    }
}
