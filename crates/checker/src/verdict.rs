//! What was found.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Of each predicate, so many violations are told in full.
pub(crate) const EXAMPLES: usize = 20;

/// What was found of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// C1 to C16.
    pub predicates: Vec<Predicate>,
    /// What the run must have seen.
    pub gates: Vec<Gate>,
}

/// Whether something held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// C1 to C16.
    pub name: String,
    /// In a sentence.
    pub says: String,
    /// How many things it was asked of.
    pub looked_at: u64,
    /// Of how many it does not hold.
    pub violations: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

/// Whether something happened often enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// What.
    pub name: String,
    /// How often, at least.
    pub needed: f64,
    /// How often it did.
    pub seen: f64,
}

impl Verdict {
    /// Nothing was violated, and enough was seen.
    pub fn passes(&self) -> bool {
        self.holds() && self.gates.iter().all(Gate::passes)
    }

    /// Nothing was violated.
    pub fn holds(&self) -> bool {
        self.predicates.iter().all(|predicate| predicate.violations == 0)
    }

    /// A predicate by its name.
    pub fn predicate(&self, name: &str) -> Option<&Predicate> {
        self.predicates.iter().find(|predicate| predicate.name == name)
    }
}

impl Predicate {
    pub(crate) fn new(name: &str, says: &str) -> Self {
        Self { name: name.into(), says: says.into(), ..Self::default() }
    }

    /// One thing that it does not hold of.
    pub(crate) fn violated(&mut self, example: impl FnOnce() -> String) {
        self.violations += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Asks one thing.
    pub(crate) fn holds_if(&mut self, holds: bool, example: impl FnOnce() -> String) {
        self.looked_at += 1;
        if !holds {
            self.violated(example);
        }
    }
}

impl Gate {
    /// It happened often enough.
    pub fn passes(&self) -> bool {
        self.seen >= self.needed
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<5}{:>12}{:>12}  says", "", "looked at", "violations")?;
        for Predicate { name, says, looked_at, violations, examples } in &self.predicates {
            writeln!(f, "{name:<5}{looked_at:>12}{violations:>12}  {says}")?;
            for example in examples {
                writeln!(f, "         {example}")?;
            }
            let more = violations.saturating_sub(examples.len() as u64);
            if more > 0 {
                writeln!(f, "         and {more} more")?;
            }
        }
        writeln!(f, "\n{:<5}{:>12}{:>12}  the run must have seen", "", "needed", "seen")?;
        for gate in &self.gates {
            let Gate { name, needed, seen } = gate;
            let mark = if gate.passes() { "" } else { "few" };
            let [needed, seen] = [needed, seen].map(|n| (n * 10.0).round() / 10.0);
            writeln!(f, "{mark:<5}{needed:>12}{seen:>12}  {name}")?;
        }
        let word = match (self.holds(), self.passes()) {
            (true, true) => "passes",
            (true, false) => "proves nothing: too little was seen",
            (false, _) => "FAILS",
        };
        write!(f, "\nThe run {word}.")
    }
}
