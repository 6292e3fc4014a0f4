//! Reads the metrics of every server each second, and at the end, when they are at rest.

use super::Target;
use super::recorder::{Clock, Lines};
use giro_checker::history::{SCRAPES, Scrape};
use hyper::Method;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

const EVERY: Duration = Duration::from_secs(1);
/// A server that is halted does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What has to be 0 at rest.
const UNDER_WAY: [&str; 2] = ["giro_queue_items{", "giro_batches_in_flight{"];

/// Scrapes while it lives.
pub(super) struct Scraper {
    targets: watch::Receiver<Vec<Target>>,
    clock: Clock,
    stop: watch::Sender<bool>,
    running: JoinSet<std::io::Result<Lines>>,
}

impl Scraper {
    pub(super) fn start(
        directory: &Path,
        targets: watch::Receiver<Vec<Target>>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let mut lines = Lines::create(&directory.join(SCRAPES))?;
        let (stop, mut stopped) = watch::channel(false);
        let from = targets.clone();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut tick = interval(EVERY);
            loop {
                tokio::select! {
                    _ = tick.tick() => {}
                    _ = stopped.changed() => return Ok(lines),
                }
                let targets = from.borrow().clone();
                for target in targets {
                    if let Some(scrape) = scrape(&target, clock).await {
                        lines.add(&scrape)?;
                    }
                }
            }
        });
        Ok(Self { targets, clock, stop, running })
    }

    /// Waits until nothing is under way in any server, and scrapes for the last time.
    pub(super) async fn rest(mut self, limit: Duration) -> Result<(), String> {
        self.stop.send_replace(true);
        let ended = self.running.join_next().await.ok_or("nothing ran")?;
        let lines = ended.map_err(|error| error.to_string())?;
        let mut lines = lines.map_err(|error| format!("{SCRAPES}: {error}"))?;
        let until = Instant::now() + limit;
        let targets = self.targets.borrow().clone();
        for target in targets {
            let mut scrape = at_rest(&target, self.clock, until).await?;
            scrape.at_rest = true;
            lines.add(&scrape).map_err(|error| format!("{SCRAPES}: {error}"))?;
        }
        Ok(())
    }
}

async fn at_rest(target: &Target, clock: Clock, until: Instant) -> Result<Scrape, String> {
    loop {
        let scrape = scrape(target, clock).await;
        let under_way = scrape.as_ref().map(under_way);
        match (scrape, under_way) {
            (Some(scrape), Some(0.0)) => return Ok(scrape),
            (_, under_way) if Instant::now() > until => {
                return Err(format!(
                    "liveness: server {} does not come to rest: {under_way:?} under way",
                    target.server
                ));
            }
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

fn under_way(scrape: &Scrape) -> f64 {
    let counts = |name: &&String| UNDER_WAY.iter().any(|part| name.starts_with(part));
    scrape.values.iter().filter(|(name, _)| counts(name)).map(|(_, value)| value).sum()
}

async fn scrape(target: &Target, clock: Clock) -> Option<Scrape> {
    let reply = timeout(PATIENCE, target.admin.send(Method::GET, "/metrics", &[], "")).await;
    let reply = reply.ok()?.ok().filter(|reply| reply.status == 200)?;
    Some(Scrape {
        server: target.server,
        generation: target.generation,
        at: clock.now(),
        at_rest: false,
        values: values(&reply.text),
    })
}

/// Without the buckets of histograms, which nobody looks at.
fn values(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    let pair = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    lines.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_are_printed() {
        let text = "# HELP giro_x y\ngiro_x{a=\"b c\"} 3\ngiro_y_bucket{le=\"1\"} 4\ngiro_z 0.5\n";
        let read = values(text);
        let expected = [("giro_x{a=\"b c\"}".to_owned(), 3.0), ("giro_z".to_owned(), 0.5)];
        assert_eq!(read, BTreeMap::from(expected));
    }
}
