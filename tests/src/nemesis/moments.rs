//! The moments at which a fault matters. Another fault may keep one away for good, so each is waited for
//! only so long; the evidence says which it was.

use super::Healed;
use super::processes::find_applying;
use crate::chaos::{Stage, StageServer, Witness};
use fastrand::Rng;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long to wait for a moment.
const WAIT: Duration = Duration::from_secs(3);

/// A backend that applies a batch right now.
pub(super) async fn backend(witness: &mut Witness, condition: &str) -> Option<i32> {
    witness.glimpse(&find_applying(condition), WAIT).await.map(|row| row.get(0))
}

/// The moment in words.
pub(super) fn words(backend: Option<i32>) -> String {
    match backend {
        Some(backend) => format!("while backend {backend} applied a batch"),
        None => format!("when no batch had been applied for {WAIT:?}"),
    }
}

/// Waits until a server has batches under way; how many.
pub(super) async fn in_flight(server: &StageServer) -> f64 {
    let started = Instant::now();
    loop {
        let batches = server.metric("giro_batches_in_flight", r#"batcher="transfers""#).await;
        let batches = batches.unwrap_or(0.0);
        if batches > 0.0 || started.elapsed() > WAIT {
            return batches;
        }
        sleep(Duration::from_millis(3)).await;
    }
}

/// What servers count, since a moment.
pub(super) struct Counting {
    metric: &'static str,
    labels: &'static str,
    /// Server, generation, and what it had counted.
    before: Vec<(usize, u32, f64)>,
}

impl Counting {
    /// Sessions with a batch that servers have given up because it was not answered.
    pub(super) async fn given_up(stage: &Stage) -> Self {
        Self::begin(stage, "giro_watchdog_total", r#"batcher="transfers""#).await
    }

    /// Batches of which servers do not know what became of them, because their session ended.
    pub(super) async fn cut_off(stage: &Stage) -> Self {
        let labels = r#"cause="session",function="apply_transfers""#;
        Self::begin(stage, "giro_unknown_total", labels).await
    }

    /// What a crash has shown: its own evidence, and how many batches that were under way it cut off.
    pub(super) async fn hit(&self, stage: &Stage, evidence: String) -> Healed {
        let batches = self.risen(stage, |_| true).await;
        let evidence = format!("{evidence}; {batches} batches were cut off");
        Healed { evidence, hit: batches > 0.0, zombie: false }
    }

    async fn begin(stage: &Stage, metric: &'static str, labels: &'static str) -> Self {
        let mut before = Vec::new();
        for number in awake(stage) {
            let server = &stage.servers[number];
            if let Some(value) = server.metric(metric, labels).await {
                before.push((number, server.generation, value));
            }
        }
        Self { metric, labels, before }
    }

    /// How much more servers have counted whose process is the same; of all, or of some.
    pub(super) async fn risen(&self, stage: &Stage, of: impl Fn(usize) -> bool) -> f64 {
        let mut risen = 0.0;
        for &(number, generation, before) in self.before.iter().filter(|(number, ..)| of(*number)) {
            let server = &stage.servers[number];
            if server.generation == generation {
                let now = server.metric(self.metric, self.labels).await.unwrap_or(before);
                risen += now - before;
            }
        }
        risen
    }
}

/// One of the servers that run and are not halted. If there is none, one is started: what kills
/// servers twice has to find one.
pub(super) async fn server(stage: &mut Stage, random: &mut Rng) -> usize {
    let up: Vec<_> = awake(stage);
    if let Some(number) = random.choice(up) {
        return number;
    }
    let number = random.usize(..stage.servers.len());
    if stage.servers[number].process.is_none() {
        stage.start_server(number).await;
    }
    number
}

/// One of the servers that run and are not halted, or all of them.
pub(super) fn one_or_all(stage: &Stage, random: &mut Rng) -> Vec<usize> {
    let up = awake(stage);
    match random.bool() {
        true => up,
        false => random.choice(up).into_iter().collect(),
    }
}

fn awake(stage: &Stage) -> Vec<usize> {
    (0..stage.servers.len()).filter(|number| stage.servers[*number].is_awake()).collect()
}
