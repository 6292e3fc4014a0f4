//! What the machine takes away by itself: gaps in a loop that does nothing else. A virtual machine on a busy host has
//! them, and shows them nowhere.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// Shorter gaps are the system's own work.
const GAP: Duration = Duration::from_millis(1);

/// Of one core or of all.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Stalls {
    count: usize,
    longest: Duration,
    lost: Duration,
    length: Duration,
}

/// Loops on every core at once, for so long.
pub(super) async fn stalls(length: Duration) -> Stalls {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let loops: Vec<_> =
        (0..cores).map(|_| tokio::task::spawn_blocking(move || one_loop(length))).collect();
    let mut all = Stalls::default();
    for core in loops {
        all.add(core.await.expect("the loop ends"));
    }
    all
}

fn one_loop(length: Duration) -> Stalls {
    let began = Instant::now();
    let mut stalls = Stalls { length, ..Stalls::default() };
    let mut last = began;
    while last - began < length {
        let now = Instant::now();
        stalls.see(now - last);
        last = now;
    }
    stalls
}

impl Stalls {
    fn see(&mut self, gap: Duration) {
        if gap >= GAP {
            self.count += 1;
            self.longest = self.longest.max(gap);
            self.lost += gap;
        }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        self.lost += other.lost;
        self.length += other.length;
    }
}

impl fmt::Display for Stalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, longest, lost, length } = self;
        let part = 100.0 * lost.as_secs_f64() / length.as_secs_f64();
        write!(
            f,
            "a loop on every core was stopped {count} times in {:.1} s for {} ms or more, {:.1} ms at most, \
             {part:.1} % of the time",
            length.as_secs_f64(),
            GAP.as_millis(),
            longest.as_secs_f64() * 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gaps_count_and_short_ones_do_not() {
        let five = Duration::from_secs(5);
        let mut one = Stalls { length: five, ..Stalls::default() };
        for micros in [900, 1_500, 8_250] {
            one.see(Duration::from_micros(micros));
        }
        let mut all = Stalls { length: five, ..Stalls::default() };
        all.add(one);
        let said = all.to_string();
        assert!(
            said.contains("2 times in 10.0 s for 1 ms or more, 8.2 ms at most, 0.1 %"),
            "{said}"
        );
    }
}
