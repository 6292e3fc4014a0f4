//! Which faults happen when: one, two at a time, or none, each held for a while.

use super::Fault;
use fastrand::Rng;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A stretch of a storm: its faults begin in this order, are held together, and are healed in reverse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Nothing, one, or two.
    pub faults: Vec<Fault>,
    /// From the last one's beginning to the first one's end.
    pub hold: Duration,
}

/// Periods without end, the same ones for the same seed. A quarter of them is quiet, a third of the others
/// has two faults.
pub struct Mix {
    faults: Vec<Fault>,
    /// What has not had its turn in this round.
    deck: Vec<Fault>,
    random: Rng,
}

impl Mix {
    /// Of these faults, each of which has its turn in every round.
    pub fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self { faults, deck: Vec::new(), random: Rng::with_seed(seed) }
    }

    /// The period that follows.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> Period {
        let mut faults = Vec::new();
        if self.random.u8(..4) > 0 && !self.faults.is_empty() {
            let first = self.deal();
            faults.push(first);
            let overlap = self.faults.iter().filter(|other| can_overlap(first, **other));
            if self.random.u8(..3) == 0
                && let Some(second) = self.random.choice(overlap.collect::<Vec<_>>())
            {
                faults.push(*second);
            }
        }
        faults.sort_by_key(|fault| depth(*fault));
        let holds: Vec<_> = faults.iter().map(|fault| self.random.u64(hold(*fault))).collect();
        let hold = holds.into_iter().max().unwrap_or_else(|| self.random.u64(200..=2000));
        Period { faults, hold: Duration::from_millis(hold) }
    }

    fn deal(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.faults);
            self.random.shuffle(&mut self.deck);
        }
        self.deck.pop().expect("a fault")
    }
}

/// For how long it lasts, in milliseconds.
fn hold(fault: Fault) -> RangeInclusive<u64> {
    use Fault::*;
    match fault {
        // What has happened is over, but for a process that is missing.
        KillPostgres | KillBackend | KillServer | RestartServer | PromoteStandby => 100..=1000,
        CutBeforeSync | CutAfterSync | CutBeforeReady | HalfClose | Reset => 100..=1500,
        GarbleReply | ShiftReply => 100..=1500,
        // A server waits 3 s for a batch. Shorter than that, these would only be a delay.
        HaltBackend => 3200..=6000,
        BlackHole => 3500..=6000,
        // Shorter and longer.
        HaltPostgres | HaltStandby => 200..=5000,
        _ => 200..=3000,
    }
}

/// Of two, the one with the lower depth begins first and ends last: what it waits for would not come, or
/// its healing not work, inside the other.
fn depth(fault: Fault) -> u8 {
    use Fault::*;
    match fault {
        // They wait for calls to pass, and let most of them pass.
        CutBeforeSync | CutAfterSync | CutBeforeReady | HalfClose | Reset => 0,
        Delay | Slice | GarbleReply | ShiftReply => 0,
        OldSnapshot | FreezeVacuum | SlowFsync | ShiftClock | SqueezeMemory
        | SqueezeDescriptors => 0,
        // They wait for calls, and then let none pass.
        LockAccounts | LockTable | HaltStandby | CancelStandbyWait | FailFsync | FullData => 1,
        // They need sessions of the servers.
        KillBackend | TerminateSessions | HaltBackend | BlackHole => 2,
        // No session of the servers meanwhile.
        ExhaustConnections => 3,
        // No PostgreSQL meanwhile.
        KillPostgres | HaltPostgres | PromoteStandby | FullWal => 4,
        // Only a server: it ends and starts whatever else is wrong.
        KillServer | RestartServer | HaltServer => 5,
    }
}

/// Whether two faults can happen at the same time.
pub fn can_overlap(one: Fault, other: Fault) -> bool {
    one != other && !is_apart(one, other) && !is_apart(other, one)
}

/// The pairs that cannot overlap, each from one side.
fn is_apart(one: Fault, other: Fault) -> bool {
    use Fault::*;
    let no_postgres = |fault| depth(fault) == 4;
    match one {
        // There is one PostgreSQL to kill, halt or promote.
        _ if no_postgres(one) && no_postgres(other) => true,
        // Behind the first one's wait, the second sees no call, and no lock is given.
        _ if depth(one) == 1 && depth(other) == 1 => true,
        // LOCK TABLE waits for batches, and those for the halted backend; and a halted backend goes on
        // with all of PostgreSQL. It cannot be terminated either, so that others have all connections.
        HaltBackend => {
            matches!(other, LockAccounts | LockTable | HaltPostgres | ExhaustConnections)
        }
        // A standby that is halted has nobody's commits, and cannot take over.
        PromoteStandby if matches!(other, HaltStandby | CancelStandbyWait) => true,
        // Nobody could be shown to refuse the old primary.
        PromoteStandby if other == BlackHole => true,
        // These are about the disk, the processes and the clock of one PostgreSQL, which is another then.
        PromoteStandby => matches!(other, SlowFsync | FailFsync | FullData | ShiftClock),
        // What is traced or out of space must not be killed or halted by somebody else.
        SlowFsync | FailFsync | FullData | FullWal => matches!(
            other,
            SlowFsync
                | FailFsync
                | FullData
                | FullWal
                | KillPostgres
                | KillBackend
                | HaltPostgres
                | HaltBackend
        ),
        // The limits of a process end with it.
        SqueezeMemory | SqueezeDescriptors => {
            matches!(other, KillServer | RestartServer | HaltServer | SqueezeMemory)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(faults: &[Fault], seed: u64, count: usize) -> Vec<Period> {
        let mut mix = Mix::new(faults.to_vec(), seed);
        (0..count).map(|_| mix.next()).collect()
    }

    #[test]
    fn a_seed_is_a_storm() {
        let of = |seed| periods(Fault::ALL, seed, 100);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn a_quarter_is_quiet_and_of_the_rest_a_third_is_pairs() {
        let periods = periods(Fault::ALL, 1, 4000);
        let share = |faults: usize| {
            periods.iter().filter(|period| period.faults.len() == faults).count() as f64 / 4000.0
        };
        assert!((0.22..0.28).contains(&share(0)), "{}", share(0));
        assert!((0.22..0.28).contains(&share(2)), "{}", share(2));
        let bounds = Duration::from_millis(100)..=Duration::from_secs(6);
        assert!(periods.iter().all(|period| bounds.contains(&period.hold)));
    }

    #[test]
    fn every_fault_has_its_turn_in_every_round() {
        let round = Fault::ALL.len();
        let periods = periods(Fault::ALL, 3, 40 * round);
        for fault in Fault::ALL {
            let turns = periods.iter().filter(|period| period.faults.contains(fault)).count();
            assert!(turns >= 25, "{fault:?}: {turns}");
        }
    }

    #[test]
    fn pairs_can_overlap_and_the_deeper_one_is_inside() {
        for period in periods(Fault::ALL, 5, 4000) {
            if let [outer, inner] = period.faults[..] {
                assert!(can_overlap(outer, inner) && can_overlap(inner, outer), "{period:?}");
                assert!(depth(outer) <= depth(inner), "{period:?}");
            }
        }
        assert!(can_overlap(Fault::BlackHole, Fault::KillPostgres));
        assert!(!can_overlap(Fault::HaltStandby, Fault::PromoteStandby));
        assert!(depth(Fault::TerminateSessions) < depth(Fault::ExhaustConnections));
    }

    #[test]
    fn without_faults_all_is_quiet() {
        assert!(periods(&[], 1, 20).iter().all(|period| period.faults.is_empty()));
    }
}
