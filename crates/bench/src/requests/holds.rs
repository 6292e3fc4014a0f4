//! The holds of one connection.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::item::{Hold, Item, Step};

/// Holds are no longer made when a connection has this many.
const MOST: usize = 1000;

/// The holds that one connection made and has not resolved.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<Hold>);

impl Holds {
    /// Turns a transfer into a hold or, half of the time, takes a post or void of an older hold
    /// instead: of these 80 % in full, 10 % in part, 10 % voids.
    pub(crate) fn hold_or_resolve(&mut self, item: Item, random: &mut SmallRng) -> Item {
        let resolve = self.0.len() >= MOST || random.random();
        if !resolve || self.0.is_empty() {
            return Item { step: Step::Hold, ..item };
        }
        let of = self.0.swap_remove(random.random_range(..self.0.len()));
        let step = match random.random_range(0..10) {
            0 => Step::Void { of },
            1 if of.amount > 1 => Step::Post { of, part: Some(random.random_range(1..of.amount)) },
            _ => Step::Post { of, part: None },
        };
        Item::resolving(of, step)
    }

    /// Learns that a transfer was applied: a hold can be resolved now.
    pub(crate) fn applied(&mut self, item: &Item) {
        if item.step == Step::Hold {
            let Item { id, debit, credit, amount, .. } = *item;
            self.0.push(Hold { id, debit, credit, amount });
        }
    }

    /// Learns that a transfer was not applied: the hold it was to resolve is still there.
    pub(crate) fn not_applied(&mut self, item: &Item) {
        if let Step::Post { of, .. } | Step::Void { of } = item.step {
            self.0.push(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn half_are_holds_and_most_of_these_are_posted_in_full() {
        let mut random = SmallRng::seed_from_u64(3);
        let mut holds = Holds::default();
        let [mut made, mut full, mut part, mut void] = [0.0; 4];
        for _ in 0..100_000 {
            let amount = random.random_range(2..=100);
            let item = holds.hold_or_resolve(Item::new((0, 1), amount), &mut random);
            match item.step {
                Step::Hold => made += 1.0,
                Step::Post { part: None, .. } => full += 1.0,
                Step::Post { part: Some(some), of } => {
                    assert!((1..of.amount).contains(&some));
                    part += 1.0;
                }
                Step::Void { .. } => void += 1.0,
                Step::Direct => panic!("{item:?}"),
            }
            holds.applied(&item);
            assert!(holds.0.len() <= MOST);
        }
        let resolved = full + part + void;
        assert!((0.99..1.05_f64).contains(&(made / resolved)), "{made} {resolved}");
        assert!((0.78..0.82_f64).contains(&(full / resolved)), "{full} of {resolved}");
        assert!((0.09..0.11_f64).contains(&(part / resolved)), "{part} of {resolved}");
        assert!((0.09..0.11_f64).contains(&(void / resolved)), "{void} of {resolved}");
    }

    #[test]
    fn a_resolution_that_was_not_applied_leaves_the_hold() {
        let mut holds = Holds::default();
        let of = Hold { id: uuid::Uuid::nil(), debit: 0, credit: 1, amount: 5 };
        holds.not_applied(&Item::resolving(of, Step::Void { of }));
        assert_eq!(holds.0, [of]);
        holds.not_applied(&Item { step: Step::Hold, ..Item::new((0, 1), 5) });
        assert_eq!(holds.0.len(), 1);
    }
}
