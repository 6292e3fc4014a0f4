//! What a transfer may cost before CI objects: in bare INSERTs of a row in the same run, by CPU of the backend.
//! A slower machine, or one that others use, makes both dearer.

use super::cell::Contender;
use super::figures::{FEW, closed_loop, spread};
use super::raw::Raw;
use super::spread::short;
use std::fmt;

/// What was measured when the floor last became leaner, 4.3 to 4.4 and 131 to 148, and a quarter for noise.
const LIMITS: [(Contender, &str, f64); 2] = [
    (Contender::GiroFunction, "a transfer in calls of 1,000", 5.5),
    (Contender::GiroCall, "a call with one transfer", 185.0),
];

/// A cost, and how much of it is too much.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    what: &'static str,
    at_most: f64,
    /// The median of the rounds; nothing was measured: nothing.
    inserts: Option<f64>,
}

impl Guard {
    /// Whether it was measured, and is no more than it may be.
    pub fn holds(&self) -> bool {
        self.inserts.is_some_and(|inserts| inserts <= self.at_most)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, at_most, inserts } = self;
        let inserts = inserts.map_or("unmeasured".to_owned(), short);
        write!(f, "{what} costs as much as {inserts} bare INSERTs of a row, at most {at_most}")
    }
}

/// All of them.
pub fn guards(raw: &Raw) -> Vec<Guard> {
    let cpu = |who, round| closed_loop(raw, who, FEW, 1, round)?.backend_cpu_us;
    let guard = |(who, what, at_most)| {
        let inserts = spread(raw, |round| Some(cpu(who, round)? / cpu(Contender::Insert, round)?));
        Guard { what, at_most, inserts: inserts.map(|it| it.median) }
    };
    LIMITS.map(guard).into()
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::raw::Measured;
    use super::*;

    #[test]
    fn what_costs_more_or_was_not_measured_does_not_hold() {
        let mut raw = Raw::default();
        assert!(guards(&raw).iter().all(|guard| !guard.holds()));
        let costs = [
            (Contender::Insert, 2.0),
            (Contender::GiroFunction, 11.0),
            (Contender::GiroCall, 372.0),
        ];
        for (contender, cpu) in costs {
            let cell = Cell { contender, clients: 1, condition: FEW, part_of_peak: None };
            raw.add(cell, Measured { round: 1, backend_cpu_us: Some(cpu), ..Measured::default() });
        }
        assert_eq!(guards(&raw).iter().map(Guard::holds).collect::<Vec<_>>(), [true, false]);
    }
}
