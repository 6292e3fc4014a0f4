//! Faults, one period after another, while callers are at work.

use super::Stage;
use super::plan::{RunPlan, Until, name};
use super::recorder::{Lines, Recorder};
use super::workload::Workload;
use crate::nemesis::{Fault, Mix, Period, Wound};
use fastrand::Rng;
use giro_checker::history::{FAULTS, FaultSpan};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A crash or a cut is worth something while this many wait for an answer.
const IN_FLIGHT: u64 = 2;
const IN_FLIGHT_MAX: Duration = Duration::from_secs(20);
/// No fault takes longer to begin, or to be healed.
const FAULT_MAX: Duration = Duration::from_secs(120);
/// Between two periods callers are decided again, for so long at most.
const CALM_MAX: Duration = Duration::from_secs(10);

/// For each crash or cut that is asked for; a storm whose faults hit nothing has to end.
const CYCLE_MAX: Duration = Duration::from_secs(20);

/// What happened.
#[derive(Debug, Clone, Default)]
pub(super) struct Weather {
    /// Faults.
    pub(super) faults: u64,
    /// The same, by name.
    pub(super) kinds: BTreeMap<String, u64>,
    /// Crashes and cuts that hit a batch.
    pub(super) cycles: u64,
    /// Batches that hung while their server was seen to give their session up, and could then go on.
    pub(super) zombies: u64,
}

/// Who makes faults, and what they happen to.
pub(super) struct Forecast<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) workload: &'a Workload,
    pub(super) recorder: &'a Recorder,
    pub(super) plan: &'a RunPlan,
    pub(super) lines: Lines,
}

struct Open {
    fault: Fault,
    began: u64,
    in_flight: u64,
    /// Requests without an answer before.
    cut_off: u64,
    wound: Wound,
}

impl Forecast<'_> {
    /// Lets faults happen until it is enough; everything is healed afterwards.
    pub(super) async fn blow(mut self) -> Result<Weather, String> {
        let mut mix = Mix::new(self.plan.faults.clone(), self.plan.seed);
        let mut random = Rng::with_seed(self.plan.seed);
        let mut weather = Weather::default();
        let began = Instant::now();
        while !self.is_enough(began, &weather)? {
            let Period { faults, hold } = mix.next();
            // Beside another fault, it is not known which of them a session was given up for.
            let alone = faults.len() == 1;
            let mut open = Vec::new();
            for fault in faults {
                open.push(self.begin(fault, &mut random).await?);
            }
            sleep(hold).await;
            while let Some(fault) = open.pop() {
                let (span, zombie) = self.heal(fault).await?;
                weather.faults += 1;
                *weather.kinds.entry(span.fault.clone()).or_default() += 1;
                weather.cycles += u64::from(span.crash_or_cut);
                weather.zombies += u64::from(zombie && alone);
                self.say(&span, weather.cycles);
            }
            self.calm().await;
        }
        Ok(weather)
    }

    fn is_enough(&self, began: Instant, weather: &Weather) -> Result<bool, String> {
        let can_cycle = self.plan.faults.iter().any(|fault| fault.is_crash_or_cut());
        let Weather { faults, cycles, .. } = weather;
        let too_long = |enough: u64| began.elapsed() > CYCLE_MAX * (enough as u32 + 3);
        match self.plan.until {
            // Not before a fault has happened: a short storm may begin with a quiet period.
            Until::Seconds(_) if *faults == 0 && !self.plan.faults.is_empty() => Ok(false),
            Until::Seconds(seconds) => Ok(began.elapsed().as_secs_f64() >= seconds),
            Until::Cycles(enough) if *cycles >= enough || !can_cycle => Ok(true),
            Until::Cycles(enough) if too_long(enough) => Err(format!(
                "of {faults} faults in {:.0?}, only {cycles} hit a batch that was under way",
                began.elapsed()
            )),
            Until::Cycles(_) => Ok(false),
        }
    }

    async fn begin(&mut self, fault: Fault, random: &mut Rng) -> Result<Open, String> {
        let in_flight = match fault.is_crash_or_cut() {
            true => self.until_in_flight().await,
            false => self.workload.in_flight(),
        };
        let (began, cut_off) = (self.recorder.now(), self.workload.cut_off());
        let wound = timeout(FAULT_MAX, fault.inject(self.stage, random)).await;
        let wound = wound.map_err(|_| format!("{fault:?} did not begin in {FAULT_MAX:?}"))?;
        Ok(Open { fault, began, in_flight, cut_off, wound })
    }

    async fn heal(&mut self, open: Open) -> Result<(FaultSpan, bool), String> {
        let Open { fault, began, in_flight, cut_off, wound } = open;
        let healed = timeout(FAULT_MAX, wound.heal(self.stage)).await;
        let healed = healed.map_err(|_| format!("{fault:?} did not heal in {FAULT_MAX:?}"))?;
        // What a server had under way that was killed, only its callers know.
        let is_hit = match fault {
            Fault::KillServer => self.workload.cut_off() > cut_off,
            _ => healed.hit,
        };
        let span = FaultSpan {
            fault: name(fault),
            crash_or_cut: fault.is_crash_or_cut() && is_hit,
            began,
            healed: self.recorder.now(),
            evidence: healed.evidence,
            in_flight,
        };
        self.lines.add(&span).map_err(|error| format!("{FAULTS}: {error}"))?;
        Ok((span, healed.zombie))
    }

    /// Waits until enough is in flight; how much is.
    async fn until_in_flight(&self) -> u64 {
        let until = Instant::now() + IN_FLIGHT_MAX;
        loop {
            let in_flight = self.workload.in_flight();
            if in_flight >= IN_FLIGHT || Instant::now() > until {
                return in_flight;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until about half a second's requests are decided.
    async fn calm(&self) {
        let enough = self.workload.decided() + (self.plan.load.rate / 2.0) as u64;
        let until = Instant::now() + CALM_MAX;
        while self.workload.decided() < enough && Instant::now() < until {
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn say(&self, span: &FaultSpan, cycles: u64) {
        let FaultSpan { fault, began, healed, in_flight, evidence, .. } = span;
        let [at, lasted] = [*began, healed - began].map(|nanos| nanos as f64 / 1e9);
        eprintln!(
            "{at:7.1} s {fault} for {lasted:.1} s with {in_flight} in flight, cycle {cycles}, decided {}: {evidence}",
            self.workload.decided()
        );
    }
}
