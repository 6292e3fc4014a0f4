//! The engine against a model of a database that fails in every way: virtual time, one seed, no I/O.
//! The same seed is the same run.
//!
//! | file | holds |
//! | --- | --- |
//! | `plan` | what is decided before a run: limits, callers, weather |
//! | `weather` | what becomes of batches and of attempts to open a session, for a while |
//! | `database` | decides each request once, by id; executes what reaches it, heard or not |
//! | `shell` | does what `driver` does |
//! | `callers` | do what `Ticket` does |
//! | `checks` | what must hold at every step |
//! | `world` | one run, and what must hold at its end |
//! | `seen` | what the runs must have shown together |
//!
//! `GIRO_SIMULATION_SEED=n` runs one seed and prints what happens; `GIRO_SIMULATION_SEEDS=n` runs so
//! many.

mod callers;
mod checks;
mod context;
mod database;
mod plan;
mod seen;
mod shell;
mod trace;
mod weather;
mod world;

use seen::Seen;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use trace::Trace;

const SEEDS: u64 = 10_000;
const THREADS: usize = 2;

/// Fewer runs need not have shown everything.
const SEEDS_THAT_SHOW_ALL: u64 = 2_000;

fn number_of(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// Runs the seeds below a bound. Returns what they have shown, or the first that failed and why.
fn run_all(seeds: u64) -> Result<Seen, (u64, String)> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut seen = Seen::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return Ok(seen);
            }
            match catch_unwind(AssertUnwindSafe(|| world::run(seed, Trace::Off))) {
                Ok((_, shown)) => seen.merge(&shown),
                Err(panic) => {
                    next.store(seeds, Ordering::Relaxed);
                    let why = panic.downcast_ref::<String>().cloned();
                    let why = why.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.into()));
                    return Err((seed, why.unwrap_or_default()));
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(work));
        let mut all = Seen::default();
        for thread in threads {
            all.merge(&thread.join().expect("a thread of the simulation")?);
        }
        Ok(all)
    })
}

#[test]
fn ten_thousand_seeds() {
    if let Some(seed) = number_of("GIRO_SIMULATION_SEED") {
        world::run(seed, Trace::Print);
        return;
    }
    let seeds = number_of("GIRO_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seen = run_all(seeds).unwrap_or_else(|(seed, why)| {
        panic!(
            "seed {seed}: {why}\nto see what happens: GIRO_SIMULATION_SEED={seed} \
             cargo test -p giro-batcher ten_thousand_seeds -- --nocapture"
        )
    });
    println!("{seeds} seeds have shown: {:?}", seen.counts().collect::<Vec<_>>());
    let missing: Vec<_> = seen.counts().filter(|(_, count)| *count == 0).collect();
    assert!(seeds < SEEDS_THAT_SHOW_ALL || missing.is_empty(), "never seen: {missing:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let hash = |seed| world::run(seed, Trace::hash()).0;
    let first: Vec<_> = (0..50).map(hash).collect();
    let second: Vec<_> = (0..50).map(hash).collect();
    assert_eq!(first, second);
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "seeds differ");
}
