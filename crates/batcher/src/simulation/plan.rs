use super::callers::Request;
use super::weather::{CONNECT_MILLIS, Weather};
use crate::{Client, Limits, Pressure};
use fastrand::Rng;
use std::time::Duration;

/// Everything about a run that is decided before it begins. Each run has only some of the faults:
/// runs with all of them are all alike.
/// Source: A. Groce et al., "Swarm Testing" (2012).
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) limits: Limits,
    pub(super) lanes: usize,
    /// What a batch usually takes.
    pub(super) usual: Duration,
    pub(super) visits: Vec<Visit>,
    /// From when on, in order.
    pub(super) weathers: Vec<(Duration, Weather)>,
    pub(super) pressures: Vec<(Duration, Pressure)>,
    pub(super) closes: Option<Duration>,
    /// Whether the driver is stopped as well.
    pub(super) abandons: Option<(Duration, bool)>,
    pub(super) heals: Duration,
    /// A request that comes last, and what all is judged by.
    pub(super) judged: Duration,
}

/// A caller that will come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub(super) at: Duration,
    pub(super) request: Request,
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) client: Client,
    pub(super) patience: Duration,
    pub(super) leaves: Option<Duration>,
}

/// How long the last request may take, once all is well.
pub(super) const PROMPT: Duration = Duration::from_millis(1500);

/// Quiet callers after the faults: their batches close the breaker.
const QUIET_VISITS: u64 = 10;
const QUIET_GAP: Duration = Duration::from_millis(20);

impl Plan {
    pub(super) fn new(random: &mut Rng) -> Self {
        let limits = limits(random);
        let lasts = Duration::from_millis(random.u64(300..2500));
        let heals = lasts + Duration::from_millis(1);
        let usual = Duration::from_micros(random.u64(500..15_000));
        // What hung when the faults end may hang on for so long.
        let calm = heals + limits.watchdog + Duration::from_secs_f64(CONNECT_MILLIS / 1e3 + 0.6);
        let mut visits = visits(random, &limits, lasts);
        for quiet in 0..QUIET_VISITS as u32 {
            visits.push(Visit::quiet(calm + QUIET_GAP * quiet));
        }
        let judged = calm + QUIET_GAP * QUIET_VISITS as u32 + Duration::from_millis(500);
        visits.push(Visit::quiet(judged));
        for (id, visit) in visits.iter_mut().enumerate() {
            visit.request.id = id;
        }
        let closes = (random.f64() < 0.25).then(|| at(random, lasts));
        let abandons = closes.filter(|_| random.f64() < 0.3);
        let abandons =
            abandons.map(|closes| (closes + at(random, lasts).mul_f64(0.3), random.bool()));
        Self {
            lanes: random.usize(1..=3),
            usual,
            weathers: weathers(random, lasts),
            pressures: pressures(random, lasts),
            closes,
            abandons,
            heals,
            judged: judged + PROMPT,
            visits,
            limits,
        }
    }
}

impl Visit {
    fn quiet(at: Duration) -> Self {
        let request = Request { id: 0, poison: false, row: 9 };
        let (client, patience) = (Client(0), PROMPT);
        Self { at, request, items: 1, bytes: 10, client, patience, leaves: None }
    }
}

fn at(random: &mut Rng, within: Duration) -> Duration {
    within.mul_f64(random.f64())
}

fn pick<T: Copy>(random: &mut Rng, among: &[T]) -> T {
    among[random.usize(..among.len())]
}

fn limits(random: &mut Rng) -> Limits {
    let millis = Duration::from_millis;
    let batch_items = pick(random, &[1, 2, 3, 4, 8, 8, 16, 32]);
    let batch_bytes = batch_items * pick(random, &[20, 100, 400]);
    let target_wait = millis(pick(random, &[10, 50, 100, 300, 600]));
    let limits = Limits {
        queue_items: batch_items * pick(random, &[1, 2, 5, 10]),
        queue_bytes: batch_bytes * pick(random, &[1, 3, 10]),
        target_wait,
        queue_wait: target_wait + millis(pick(random, &[20, 200, 1000])),
        batch_items,
        batch_bytes,
        batch_wait: millis(pick(random, &[0, 0, 1, 8])),
        in_flight: random.usize(1..=3),
        watchdog: millis(pick(random, &[100, 200, 400, 800])),
    };
    limits.check().expect("the limits of a plan");
    limits
}

fn weathers(random: &mut Rng, lasts: Duration) -> Vec<(Duration, Weather)> {
    let kinds = [(); 2].map(|()| pick(random, &Weather::BAD));
    let mut weathers = vec![(Duration::ZERO, Weather::Fair)];
    let mut begins = at(random, lasts / 4);
    while begins < lasts {
        let weather = if random.f64() < 0.35 { Weather::Fair } else { pick(random, &kinds) };
        weathers.push((begins, weather));
        begins += Duration::from_millis(20) + at(random, lasts / 2);
    }
    weathers
}

fn pressures(random: &mut Rng, lasts: Duration) -> Vec<(Duration, Pressure)> {
    if random.f64() < 0.8 {
        return Vec::new();
    }
    let all = [Pressure::Accept, Pressure::Throttle, Pressure::Reject];
    (0..3).map(|_| (at(random, lasts), pick(random, &all))).collect()
}

fn visits(random: &mut Rng, limits: &Limits, lasts: Duration) -> Vec<Visit> {
    let (bulky, rude, bursty) = (random.f64() * 0.3, random.f64() * 0.1, random.f64());
    let clients = random.u64(1..=4);
    let hurry = random.f64();
    let mut poisons = if random.f64() < 0.4 { random.usize(1..=3) } else { 0 };
    let mut visits = Vec::new();
    let count = random.usize(15..90);
    while visits.len() < count {
        let burst = if random.f64() < 0.1 * bursty { random.usize(4..40) } else { 1 };
        let now = at(random, lasts);
        for _ in 0..burst {
            let poison = poisons > 0 && random.f64() < 0.05;
            poisons -= usize::from(poison);
            visits.push(Visit {
                at: now,
                request: Request { id: 0, poison, row: random.usize(..10) },
                items: if random.f64() < bulky {
                    random.usize(1..=limits.batch_items + 1)
                } else {
                    1
                },
                bytes: random.usize(1..=40),
                // The first client comes as often as all others together.
                client: Client(random.u64(0..2 * clients).saturating_sub(clients)),
                patience: Duration::from_millis(match random.f64() < hurry {
                    true => random.u64(2..150),
                    false => random.u64(300..2500),
                }),
                leaves: (random.f64() < rude).then(|| Duration::from_micros(random.u64(0..60_000))),
            });
        }
    }
    visits
}
